"""Questions to the southbound process: one line of JSON each way over a Unix socket.

The API and the southbound share a database and a run directory. Counters are in no database: a
port's are read from the switch when somebody asks, and drops by reason are what audits have read.
The southbound listens on ``southbound/ask.sock``, which only its own user may open; a controller
that shares the database on another machine has a run directory, and switches, of its own.
"""

import contextlib
import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

from vpcctl.model.counters import Count, Drops, PortCounters, RuleCount, Side
from vpcctl.model.problems import Unavailable
from vpcctl.store.wake import SocketDirectory

DIRECTORY, NAME = "southbound", "ask.sock"
MAX_QUESTION = 1024
MAX_ANSWER = 4 * 1024 * 1024
ANSWER_S = 4.0
"""So long the southbound takes for an answer at most."""
_PATIENCE_S = 6.0
_SOON_S = 1.0
"""What the southbound need ask nobody for comes sooner."""
AT_ONCE = 4
"""Questions that may be waiting at the same time; each holds a thread of the API's."""

Json = dict[str, Any]
_DROPS = b'{"ask":"drops"}\n'


def question(port_id: str, host_id: str) -> bytes:
    """Return the question for a port's counters, as a line."""
    return _line({"ask": "counters", "port_id": port_id, "host_id": host_id})


def read_question(line: bytes) -> tuple[str, str] | None:
    """Return port and host of a question; None when it is the one for drops.

    Raises:
        ValueError: it is none.
    """
    found = json.loads(line)
    if isinstance(found, dict) and found.get("ask") == "drops":
        return None
    if not isinstance(found, dict) or found.get("ask") != "counters":
        raise ValueError("an unknown question")
    port_id, host_id = found.get("port_id"), found.get("host_id")
    if not isinstance(port_id, str) or not isinstance(host_id, str):
        raise ValueError("a question without port and host")
    return port_id, host_id


def answer(counters: PortCounters) -> bytes:
    """Return the answer to a question, as a line."""
    rules = [[one.rule_id, one.group_id, *one.count] for one in counters.rules]
    return _line(
        {"egress": _side(counters.egress), "ingress": _side(counters.ingress), "rules": rules}
    )


def drops_answer(drops: Drops) -> bytes:
    """Return the answer to the question for drops, as a line."""
    return _line({"reasons": drops.by_reason, "hosts": drops.by_host})


def refusal(reason: str) -> bytes:
    """Return the answer that there is none, as a line."""
    return _line({"error": reason})


def read_answer(line: bytes) -> PortCounters:
    """Return the counters in an answer.

    Raises:
        Unavailable: it says why there are none.
        ValueError: it is no answer.
    """
    try:
        found = json.loads(line)
        if "error" in found:
            raise Unavailable(str(found["error"]))
        rules = tuple(RuleCount(id, group, Count(p, b)) for id, group, p, b in found["rules"])
        return PortCounters(_read_side(found["egress"]), _read_side(found["ingress"]), rules)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no answer: {error}") from None


def read_drops(line: bytes) -> Drops:
    """Return the drops in an answer.

    Raises:
        ValueError: it is no answer, or says that there is none.
    """
    try:
        found = json.loads(line)
        hosts = {str(host): _read_sums(sums) for host, sums in found["hosts"].items()}
        return Drops(_read_sums(found["reasons"]), hosts)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no answer: {error}") from None


def _read_sums(found: Json) -> dict[str, int]:
    return {str(reason): int(packets) for reason, packets in found.items()}


def _line(document: Json) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def _side(side: Side) -> Json:
    return {"allowed": list(side.allowed), "dropped": {n: list(c) for n, c in side.dropped.items()}}


def _read_side(found: Json) -> Side:
    dropped = {str(name): Count(*count) for name, count in found["dropped"].items()}
    return Side(Count(*found["allowed"]), dropped)


def listening_socket(run_dir: Path) -> socket.socket:
    """Return the socket that questions come to, bound and not listening yet.

    What an earlier process left in its place is removed: a run directory is one controller's.

    Raises:
        OSError: it cannot be bound.
    """
    directory = SocketDirectory(run_dir / DIRECTORY)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        (directory.path / NAME).unlink(missing_ok=True)
        made.bind(directory.reach(NAME))
        (directory.path / NAME).chmod(0o600)
    except OSError:
        made.close()
        raise
    finally:
        directory.close()
    return made


class SouthboundClient:
    """Asks the southbound of the same run directory; safe from several threads."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / DIRECTORY
        self._lock = threading.Lock()
        self._waiting = 0

    @property
    def is_busy(self) -> bool:
        """Whether no more questions may be asked before another is answered."""
        return self._waiting >= AT_ONCE

    def counters(self, port_id: str, host_id: str) -> PortCounters:
        """Return the counters of a port on a host.

        Raises:
            Unavailable: there is no answer now; it says of which host.
        """
        with self._lock:
            if self.is_busy:
                raise Unavailable(f"Too many ask for counters at once, of {host_id} too.")
            self._waiting += 1
        try:
            return read_answer(self._ask(question(port_id, host_id)))
        except (OSError, ValueError) as error:
            raise Unavailable(
                f"This controller's southbound does not answer for {host_id}: {error}"
            ) from None
        finally:
            with self._lock:
                self._waiting -= 1

    def drops(self) -> Drops:
        """Return what switches have dropped, as the southbound knows it.

        Raises:
            Unavailable: it does not answer.
        """
        try:
            return read_drops(self._ask(_DROPS, _SOON_S))
        except (OSError, ValueError) as error:
            raise Unavailable(f"This controller's southbound does not answer: {error}") from None

    def _ask(self, line: bytes, patience: float = _PATIENCE_S) -> bytes:
        deadline = time.monotonic() + patience
        directory = SocketDirectory(self._path)
        with contextlib.closing(directory), socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(patience)
            asking.connect(directory.reach(NAME))
            asking.sendall(line)
            return _receive(asking, deadline)


def _receive(asking: socket.socket, deadline: float) -> bytes:
    """Return the line that the other side sends.

    Raises:
        OSError: it does not come in time.
        ValueError: it is too long, or not whole.
    """
    found = bytearray()
    while not found.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        asking.settimeout(left)
        part = asking.recv(65536)
        if not part:
            raise ValueError("the answer is not whole")
        found += part
        if len(found) > MAX_ANSWER:
            raise ValueError("the answer is too long")
    return bytes(found)
