"""A small controller over a Unix socket that speaks the wire schemas, for agents' tests."""

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from msgspec import to_builtins

from vpcctl.wire.report import Link, LinkReport, ReportAnswer, changed_digest, digest
from vpcctl.wire.state import Attachment, HostState, InterfaceAddress, Peer, Settings


class Controller:
    """Holds one host's state and every report it got.

    Attributes:
        reports: (monotonic time, report) in the order of arrival.
        answer: overrides answers: status and body for the next requests, while it is set.
        delay_s: wait before every answer.
        revision: grows with every report that changes something.
        reached: revision that the host's switch has confirmed; None: answers do not say.
        realised: revision at which the host's flows changed last, while they are all there.
    """

    def __init__(self, host_id: str, dpid: int = 0x7663_0000_0000_0001) -> None:
        self.state = HostState(
            revision=1,
            host_id=host_id,
            name="test",
            dpid=dpid,
            openflow_targets=("unix:/nonexistent/of.sock",),
            settings=Settings(report_interval_s=0.5),
        )
        self.reports: list[tuple[float, LinkReport]] = []
        self.answer: tuple[int, bytes] | None = None
        self.delay_s = 0.0
        self.revision = 0
        self.reached: int | None = None
        self.realised: int | None = None
        self.facts: Any = None
        self.links: dict[tuple[str, str], Link] = {}
        self._digest = ""
        self._last = (0, 0)
        self._changed = threading.Condition()

    def set(self, **changes: Any) -> float:
        """Change the state, wake the long poll and return the monotonic time of it."""
        with self._changed:
            revision = self.state.revision + 1
            said = to_builtins(changes, enc_hook=lambda one: one.model_dump(mode="json"))
            values = {**self.state.model_dump(), "revision": revision, **said}
            self.state = HostState.model_validate(values)
            self._changed.notify_all()
            return time.monotonic()

    def attach(self, *attachments: Attachment) -> float:
        """Make these the host's attachments."""
        return self.set(attachments=tuple(sorted(attachments, key=lambda each: each.port_id)))

    def peers(self, *addresses: str) -> float:
        """Make these the host's peers."""
        return self.set(
            peers=tuple(
                Peer(host_id=f"host-{at:017x}", vtep_address=address)
                for at, address in enumerate(addresses, 1)
            )
        )

    def link(self, port_id: str) -> Link | None:
        """Return the link last reported for a port, or None."""
        return next((link for (port, _), link in self.links.items() if port == port_id), None)

    def has_port(self, port_id: str) -> bool:
        """Tell whether a port's link has an ofport and no error."""
        link = self.link(port_id)
        return link is not None and link.ofport is not None and link.error is None

    def wait_state(self, after: int, timeout: float) -> HostState | None:
        """Wait for a revision other than *after*."""
        with self._changed:
            self._changed.wait_for(lambda: self.state.revision > after, timeout)
            return self.state if self.state.revision > after else None

    def accept(self, report: LinkReport) -> ReportAnswer:
        """Take a report as the real controller does."""
        before, answer = self._digest, self._accept(report)
        self.revision += before != self._digest
        if answer.accepted:
            answer = answer.model_copy(update={"realised_revision": self.realised})
        if self.reached is None or not answer.accepted:
            return answer
        news = {"revision": self.revision, "reached_revision": self.reached}
        return answer.model_copy(update=news)

    def _accept(self, report: LinkReport) -> ReportAnswer:
        self.reports.append((time.monotonic(), report))
        state = self.state if report.state_revision < self.state.revision else None
        if (report.boot, report.sequence) <= self._last:
            return ReportAnswer(accepted=False, state=state)
        self._last = (report.boot, report.sequence)
        if report.base is not None:
            needed = report.base != self._digest or not self._change(report)
            return ReportAnswer(accepted=True, full_report_needed=needed, state=state)
        if report.links is None or report.facts is None:
            unknown = report.digest != self._digest
            return ReportAnswer(accepted=True, full_report_needed=unknown, state=state)
        assert digest(report.facts, report.links) == report.digest
        self._digest, self.facts = report.digest, report.facts
        self.links = {(link.port_id, link.interface): link for link in report.links}
        return ReportAnswer(accepted=True, state=state)

    def _change(self, report: LinkReport) -> bool:
        links = report.links or ()
        touched = {link.port_id for link in links}.union(report.gone or ())
        before = {key: link for key, link in self.links.items() if key[0] in touched}
        if changed_digest(report.base or "", before.values(), links) != report.digest:
            return False
        self._digest = report.digest
        kept = {key: link for key, link in self.links.items() if key not in before}
        self.links = kept | {(link.port_id, link.interface): link for link in links}
        return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def log_message(self, *arguments: Any) -> None:
        del arguments

    def address_string(self) -> str:
        return "unix"

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _overridden(self) -> bool:
        controller = self.server.controller
        if controller.delay_s:
            threading.Event().wait(controller.delay_s)
        if controller.answer is not None:
            self._answer(*controller.answer)
            return True
        return False

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._overridden():
            answer = self.server.controller.accept(LinkReport.model_validate_json(body))
            self._answer(200, answer.model_dump_json().encode())

    def do_GET(self) -> None:
        if self._overridden():
            return
        query = parse_qs(urlsplit(self.path).query)
        after, timeout = int(query["after"][0]), float(query["timeout"][0])
        state = self.server.controller.wait_state(after, timeout)
        if state is None:
            self._answer(204, b"")
        else:
            self._answer(200, state.model_dump_json().encode())


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, path: Path, controller: Controller) -> None:
        self.controller = controller
        super().__init__(str(path), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Agents are killed in the middle of requests here: not worth a traceback."""


@contextmanager
def serve(controller: Controller, path: Path) -> Iterator[None]:
    """Serve the controller on a Unix socket until the end of the block."""
    path.unlink(missing_ok=True)
    server = _Server(path, controller)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        path.unlink(missing_ok=True)


def attachment(port: int, netns: str, *addresses: str, **changes: Any) -> Attachment:
    """Return a namespace attachment; addresses like ``10.0.0.2/24``, gateway the first of each."""
    import ipaddress

    found = []
    for text in addresses:
        interface = ipaddress.ip_interface(text)
        gateway = str(interface.network.network_address + 1)
        found.append(
            InterfaceAddress(
                address=str(interface.ip),
                prefix_length=interface.network.prefixlen,
                gateway=gateway,
            )
        )
    values: dict[str, Any] = {
        "port_id": port_id(port),
        "kind": "namespace",
        "interface": "eth0",
        "netns": netns,
        "mac": f"0e:00:00:00:{port >> 8:02x}:{port & 255:02x}",
        "addresses": tuple(found),
        "mtu": 1450,
    }
    return Attachment(**{**values, **changes})


def port_id(number: int) -> str:
    """Return the port id with a number in it."""
    return f"port-{number:017x}"


def body(value: Any) -> bytes:
    """Return JSON bytes."""
    return json.dumps(value).encode()
