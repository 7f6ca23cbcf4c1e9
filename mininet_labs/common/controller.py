"""The controller of a lab: ``vpcctl serve`` on its embedded database."""

import socket
from pathlib import Path

from mininet_labs.common.hypervisor import product
from mininet_labs.common.processes import Daemons, LabError, tail, wait_until
from mininet_labs.common.rest import Api
from mininet_labs.common.runs import Run

FIRST_PORT = 8080
_NAME = "controller"


class Controller:
    """A running controller.

    It listens on the loopback for people, and on Unix sockets for the hosts of the lab, which
    have loopbacks of their own.

    Attributes:
        url: where people find the API.
    """

    def __init__(self, run: Run, daemons: Daemons) -> None:
        self._run = run
        self._daemons = daemons
        self._claim, port = _claim_port()
        self.url = f"http://127.0.0.1:{port}"

    @property
    def api_socket(self) -> Path:
        """Where hosts find the API."""
        return self._run.path("api.sock")

    @property
    def openflow_socket(self) -> Path:
        """Where switches find the controller."""
        return self._run.path("openflow.sock")

    @property
    def token_file(self) -> Path:
        """The admin token, which the controller leaves at its first start."""
        return self._run.path(_NAME, "admin.token")

    def start(self) -> None:
        """Start it, without waiting for it."""
        state = self.token_file.parent
        command = [*product("vpcctl.cli"), "serve", f"--state-dir={state}"]
        command += [f"--api-listen={self.url.removeprefix('http://')}"]
        command += [f"--api-listen=unix:{self.api_socket}"]
        command += [f"--openflow-listen=unix:{self.openflow_socket}"]
        # Nobody watches a lab for the fifteen seconds after which a silent host is late by default.
        self._daemons.start(_NAME, command, environment={"VPCCTL_REPORT_INTERVAL_S": "3"})

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._daemons.kill(_NAME)

    def wait(self) -> Api:
        """Return the API with the admin token, once the controller is ready."""
        try:
            wait_until(self._is_ready, "the controller", seconds=60)
        except LabError as error:
            raise LabError(f"{error}\n{tail(self._run, _NAME)}") from None
        return Api(self.api_socket, self.token_file.read_text().strip())

    def _is_ready(self) -> bool:
        self._daemons.check()
        return self.token_file.exists() and Api(self.api_socket, "").is_ready()


def _claim_port() -> tuple[socket.socket, int]:
    """Return the first port from 8080 on that nobody listens at, and what holds it for us.

    It takes a second until the controller listens. Meanwhile a name in the abstract namespace keeps
    other labs from the port; it is gone with this process.
    """
    for port in range(FIRST_PORT, FIRST_PORT + 1000):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0vpcctl-lab-port-{port}")
            _expect_free(port)
        except OSError:
            claim.close()
            continue
        return claim, port
    raise LabError(f"no free port from {FIRST_PORT} on")


def _expect_free(port: int) -> None:
    """Raise OSError when somebody listens at a port of the loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
