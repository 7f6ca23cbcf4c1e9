"""A private Open vSwitch on its dummy datapath: a real classifier and translation, without root.

Several bridges in one ovs-vswitchd stand for several hosts. Everything lives in a directory of its
own and is spoken to by Unix sockets.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
UNDERLAY = "br-phy"
_AT_A_TIME = 40
"""Commands under way at a time: all of them fit into a socket's buffer."""


class Refused(RuntimeError):
    """A daemon answered with an error."""


def wait_until(condition: Callable[[], bool], what: str, timeout: float = 10.0) -> None:
    """Return as soon as *condition* holds.

    Raises:
        TimeoutError: it did not within *timeout* seconds.
    """
    deadline = time.monotonic() + timeout
    pause = 0.001
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def listens(path: Path) -> bool:
    """Tell whether somebody listens at a Unix socket, whose file is there a moment before that."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tried:
        return tried.connect_ex(str(path)) == 0


class Control:
    """One connection to a daemon's control socket (JSON-RPC 1.0)."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(20)
        self._socket.connect(str(path))
        self._decoder = json.JSONDecoder()
        self._pending = ""
        self._number = 0

    def call(self, method: str, *params: str) -> str:
        """Return the answer to one command.

        Raises:
            Refused: the daemon answered with an error.
        """
        (answer,) = self.call_many(method, [params])
        return answer

    def call_many(self, method: str, asked: Sequence[Sequence[str]]) -> list[str]:
        """Return the answers to commands that differ in their parameters, in order.

        Some are under way at a time: to wait for each costs more than most answers do.

        Raises:
            Refused: the daemon answered one with an error.
        """
        found: list[str] = []
        for start in range(0, len(asked), _AT_A_TIME):
            some = asked[start : start + _AT_A_TIME]
            self._socket.sendall(b"".join(self._request(method, params) for params in some))
            answers = [self._receive() for _ in some]
            for params, answer in zip(some, answers, strict=True):
                if answer["error"] is not None:
                    raise Refused(f"{method} {' '.join(params)}: {answer['error']}")
                found.append(str(answer["result"]))
        return found

    def _request(self, method: str, params: Sequence[str]) -> bytes:
        self._number += 1
        request = {"id": self._number, "method": method, "params": list(params)}
        return json.dumps(request).encode()

    def _receive(self) -> dict[str, object]:
        while True:
            try:
                answer, end = self._decoder.raw_decode(self._pending)
            except json.JSONDecodeError:
                data = self._socket.recv(1 << 20)
                if not data:
                    raise Refused("the daemon closed its control socket") from None
                self._pending += data.decode()
            else:
                self._pending = self._pending[end:].lstrip()
                return answer

    def close(self) -> None:
        self._socket.close()


class DummyOvs:
    """The daemons, as a context manager."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._daemons: list[subprocess.Popen[bytes]] = []
        self._environment = {
            **os.environ,
            **{f"OVS_{name}DIR": str(directory) for name in ("RUN", "LOG", "DB", "SYSCONF")},
        }
        self.control: Control

    def __enter__(self) -> "DummyOvs":
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.control.close()
        self.stop()

    def _start(self) -> None:
        at = self.directory
        self.run("ovsdb-tool", "create", str(at / "conf.db"), SCHEMA)
        sockets = (f"--remote=punix:{at}/db.sock", f"--unixctl={at}/ovsdb.ctl")
        self._spawn("ovsdb-server", str(at / "conf.db"), *sockets)
        wait_until(lambda: listens(at / "db.sock"), "ovsdb-server did not start")
        self.vsctl("--no-wait", "init")
        dummy = ("--enable-dummy", "--disable-system", "--disable-system-route")
        self._spawn("ovs-vswitchd", f"unix:{at}/db.sock", *dummy, f"--unixctl={at}/vswitchd.ctl")
        wait_until(lambda: listens(at / "vswitchd.ctl"), "ovs-vswitchd did not start")
        self.control = Control(at / "vswitchd.ctl")
        self._add_underlay()

    def _add_underlay(self) -> None:
        """Give the tunnels something to leave by, as the userspace datapath needs it."""
        make = ["add-br", UNDERLAY, "--", "set", "bridge", UNDERLAY, "datapath_type=dummy"]
        self.vsctl(*make, *self._port(UNDERLAY, "uplink", 1), "type=dummy")
        self.control.call("netdev-dummy/ip4addr", UNDERLAY, "192.0.2.254/24")
        self.control.call("netdev-dummy/ip6addr", UNDERLAY, "2001:db8::fe/64")
        self.control.call("ovs/route/add", "192.0.2.0/24", UNDERLAY)
        self.control.call("ovs/route/add", "2001:db8::/64", UNDERLAY)

    def add_vtep(self, address: str) -> None:
        """Let tunnels to *address* be resolved; it must be in one of the underlay's blocks."""
        self.control.call("tnl/neigh/set", UNDERLAY, address, "0e:ff:00:00:00:01")

    def _spawn(self, name: str, *arguments: str) -> None:
        log = ("-vconsole:off", "-vsyslog:off", f"--log-file={self.directory}/{name}.log")
        self._daemons.append(
            subprocess.Popen((name, *arguments, *log), env=self._environment, cwd=self.directory)
        )

    def stop(self) -> None:
        """End the daemons that were started, the last first."""
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(5)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait(5)
        self._daemons.clear()

    def run(self, *command: str, text: str | None = None) -> str:
        """Return the output of a tool.

        Raises:
            Refused: it failed.
        """
        done = subprocess.run(
            command,
            input=text,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if done.returncode:
            raise Refused(f"{' '.join(command[:4])}: {done.stderr.strip()}")
        return done.stdout

    def vsctl(self, *arguments: str) -> str:
        return self.run("ovs-vsctl", f"--db=unix:{self.directory}/db.sock", *arguments)

    def ofctl(self, command: str, bridge: str, *arguments: str, text: str | None = None) -> str:
        target = f"unix:{self.directory}/{bridge}.mgmt"
        return self.run("ovs-ofctl", "-O", "OpenFlow14", command, target, *arguments, text=text)

    def add_bridge(self, name: str, tunnel_ofport: int, ofports: Iterable[int]) -> None:
        """Make a host's bridge: a VXLAN port and dummy ports, each with its OpenFlow number.

        Each bridge gets a UDP port of its own, because they share one datapath.
        """
        udp = 4789 + len(self.vsctl("list-br").split())
        arguments = ["add-br", name, "--", "set", "bridge", name, "datapath_type=dummy"]
        arguments += ["fail-mode=secure", "other-config:disable-in-band=true"]
        arguments += self._port(name, f"{name}-vx", tunnel_ofport)
        arguments += ["type=vxlan", "options:remote_ip=flow", "options:key=flow"]
        arguments += [f"options:dst_port={udp}"]
        for ofport in ofports:
            arguments += [*self._port(name, f"{name}-{ofport}", ofport), "type=dummy"]
        self.vsctl(*arguments)
        self.ofctl("set-frags", name, "nx-match")  # as the southbound tells every switch

    @staticmethod
    def _port(bridge: str, name: str, ofport: int) -> list[str]:
        make = ["--", "add-port", bridge, name, "--", "set", "interface", name]
        return [*make, f"ofport_request={ofport}"]

    def delete_bridges(self, names: Iterable[str]) -> None:
        self.vsctl(*(word for name in names for word in ("--", "del-br", name)))

    def replace_flows(self, bridge: str, lines: Iterable[str], *, bundled: bool = False) -> None:
        """Make *lines* the bridge's only flows.

        Args:
            bridge: the bridge.
            lines: the flows.
            bundled: whether they are changed in one moment, which takes five times as long.

        Raises:
            Refused: the switch does not take one of them.
        """
        text = "\n".join(lines) + "\n"
        how = ("--bundle",) if bundled else ()
        self.ofctl("replace-flows", bridge, "-", *how, text=text)

    def differences(self, bridge: str, lines: Iterable[str]) -> set[str]:
        """Return what the bridge has more (``-``) or less (``+``) than the flows in *lines*.

        ``ovs-ofctl diff-flows`` also lists some that it prints alike: it fills bits of a mask of
        ``nw_frag`` that mean nothing.
        """
        program = self.directory / "program.flows"
        program.write_text("".join(f"{line}\n" for line in lines))
        target = f"unix:{self.directory}/{bridge}.mgmt"
        done = subprocess.run(
            ("ovs-ofctl", "-O", "OpenFlow14", "diff-flows", target, str(program)),
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if done.stderr:
            raise Refused(done.stderr.strip())
        shown = done.stdout.splitlines()
        sides = [{line[1:] for line in shown if line.startswith(sign)} for sign in "-+"]
        both = sides[0] & sides[1]
        return {line for line in shown if line[1:] not in both}

    def dump_flows(self, bridge: str) -> list[str]:
        """Return the bridge's flows as the switch says them, without statistics."""
        shown = self.ofctl("dump-flows", bridge, "--no-stats", "--no-names")
        return [line.strip() for line in shown.splitlines() if "actions=" in line]
