"""A hypervisor: a Mininet host with an Open vSwitch and an agent of its own."""

import json
import subprocess
from pathlib import Path
from typing import Any

from mininet.node import Host

from mininet_labs.common import places
from mininet_labs.common.processes import Daemons, LabError, wait_until
from mininet_labs.common.runs import NETNS, PROVIDER, REPOSITORY, Run

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
PYTHON = REPOSITORY / ".venv" / "bin" / "python"
"""The product's own Python; the labs' is Debian's, which alone has Mininet."""


class Hypervisor(Host):
    """A host whose network namespaces have names that only it sees.

    ``/run/netns`` is its own file system, so namespaces of two hosts or labs never collide, and
    they end with the host.
    """

    def __init__(self, name: str, run: Run, daemons: Daemons, label: str, **params: Any) -> None:
        self.label = label
        self._run = run
        self._daemons = daemons
        self._agent: dict[str, str] = {}
        super().__init__(name, privateDirs=[str(NETNS)], **params)
        run.remember(self.pid)

    @property
    def rundir(self) -> Path:
        """Directory of this host's Open vSwitch: its database, sockets and pid files."""
        return self._run.path(self.label, "ovs", "x").parent

    @property
    def database(self) -> str:
        """How OVSDB clients reach this host's database."""
        return f"unix:{self.rundir}/db.sock"

    def inside(self, *command: str) -> list[str]:
        """Return *command* as an argument list that runs it on this host."""
        return ["mnexec", "-a", str(self.pid), *command]

    def within(self, netns: str, *command: str) -> list[str]:
        """Return *command* as an argument list that runs it in a namespace of this host."""
        return self.inside("ip", "netns", "exec", netns, *command)

    def start_switch(self) -> None:
        """Start ovsdb-server and ovs-vswitchd, both with empty memories."""
        rundir = self.rundir
        created = ["ovsdb-tool", "create", f"{rundir}/conf.db", str(SCHEMA)]
        subprocess.run(created, check=True)
        self._start(
            "ovsdb-server",
            "ovsdb-server",
            f"{rundir}/conf.db",
            f"--remote=punix:{rundir}/db.sock",
            f"--pidfile={rundir}/ovsdb-server.pid",
            "--no-chdir",
            "-vsyslog:off",
        )

        def answers() -> bool:
            self._daemons.check()
            return (rundir / "db.sock").exists()

        wait_until(answers, f"{self.label}'s ovsdb-server", seconds=10)
        # The socket is there a moment before somebody listens at it.
        words = ("--retry", "--timeout=10", "--no-wait", "init")
        init = ["ovs-vsctl", f"--db={self.database}", *words]
        subprocess.run(init, check=True)
        self._start_vswitchd()

    def _start_vswitchd(self) -> None:
        rundir = self.rundir
        self._start(
            "ovs-vswitchd",
            "ovs-vswitchd",
            self.database,
            f"--pidfile={rundir}/ovs-vswitchd.pid",
            "--no-chdir",
            "-vsyslog:off",
            # The controller's socket is not in the directory of this host's switch.
            "--no-self-confinement",
        )

    def start_agent(self, host_id: str, api: str, token_file: Path) -> None:
        """Start vpc-agent, as an operator would on a real host."""
        settings = {
            "HOST_ID": host_id,
            "API_URL": api,
            "TOKEN_FILE": str(token_file),
            "VTEP_ADDRESS": self.IP(),
            "OVSDB": self.database,
            "OVS_RUNDIR": str(self.rundir),
            "STATE_DIR": str(self._run.path(self.label, "agent", "x").parent),
        }
        if device := self.params.get("provider"):
            settings["PROVIDERS"] = f"{PROVIDER}={device}"
        self._agent = {f"VPC_AGENT_{name}": value for name, value in settings.items()}
        self._start("vpc-agent", *product("agent.main"), environment=self._agent)

    def plug(self, port_id: str, interface: str, mac: str) -> None:
        """Plug a device of this host by hand, as the interface of a port.

        Raises:
            LabError: the agent's command refuses.
        """
        self._vpc_agent("plug", "--port", port_id, "--interface", interface, "--mac", mac)

    def _vpc_agent(self, *words: str) -> None:
        variables = [f"{name}={value}" for name, value in self._agent.items()]
        self.run("env", *variables, *product("agent.main"), *words)

    def vsctl(self, *words: str) -> None:
        """Run ovs-vsctl on this host's database.

        Raises:
            LabError: it refuses.
        """
        self.run("ovs-vsctl", f"--db={self.database}", "--timeout=10", *words)

    def run(self, *command: str) -> str:
        """Run a command on this host; return what it printed.

        Raises:
            LabError: it fails; with its own words.
        """
        done = subprocess.run(self.inside(*command), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(f"{self.label}: {command[0]}: {done.stderr.strip()}")
        return done.stdout

    def has_saved_program(self) -> bool:
        """Tell whether the agent has saved flows that it could put back."""
        return self._run.path(self.label, "agent", "program").exists()

    def flow_count(self) -> int:
        """Return how many flows br-int has now; 0 while it does not answer."""
        socket = f"unix:{self.rundir}/br-int.mgmt"
        try:
            shown = self.run("ovs-ofctl", "-OOpenFlow15", "--timeout=5", "dump-aggregate", socket)
        except LabError:
            return 0
        return int(shown.split("flow_count=")[1].split()[0])

    def sent_outside(self) -> int:
        """Return how many frames have left by the device that leads to the provider."""
        shown = json.loads(self.run("ip", "-s", "-j", "link", "show", self.params["provider"]))
        return shown[0]["stats64"]["tx"]["packets"]

    def start_again(self) -> None:
        """Start ovs-vswitchd and vpc-agent after both were killed, as a machine does that boots."""
        self._vpc_agent("hold-back")
        self._start_vswitchd()
        self._start("vpc-agent", *product("agent.main"), environment=self._agent)

    def hide(self, *sockets: Path) -> None:
        """Hide sockets from this host alone, and end what agent and switch have open to them."""
        for socket in sockets:
            self.run("mount", "--bind", "/dev/null", str(socket))
        self._daemons.kill(f"{self.label}-vpc-agent")
        self._start("vpc-agent", *product("agent.main"), environment=self._agent)
        # The agent puts its own target back, which leads nowhere now.
        self.vsctl("set-controller", "br-int", "unix:/nowhere")

    def show(self, *sockets: Path) -> None:
        """Undo :meth:`hide`."""
        for socket in sockets:
            self.run("umount", str(socket))

    def namespaces(self) -> list[str]:
        """Return the names of the workloads' namespaces that exist on this host now.

        Beside them there is the agent's own, of the sockets that answer for names.
        """
        return places.namespaces(self.label, self.inside())

    def _start(self, name: str, *command: str, environment: dict[str, str] | None = None) -> None:
        directories = {
            variable: str(self.rundir) for variable in ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR")
        }
        self._daemons.start(
            f"{self.label}-{name}",
            self.inside(*command),
            environment=directories | (environment or {}),
        )


def product(module: str) -> list[str]:
    """Return the command that runs *module* of the product, from this very tree."""
    return ["env", f"PYTHONPATH={REPOSITORY}", str(PYTHON), "-m", module]
