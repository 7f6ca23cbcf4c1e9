"""A controller behind TLS, a network of many hosts in its database, and the hosts' process."""

import contextlib
import json
import os
import random
import signal
import socket
import ssl
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench import cpu
from bench.processes import Process, run
from bench.rest import Api, ApiError
from bench.simulated.process import allow_connections
from bench.waiting import TooLongError, wait_for
from vpcctl.services.facade import Services
from vpcctl.services.security_views import RuleCreate, SecurityGroupCreate
from vpcctl.services.views import Actor, HostCreate, PortCreate, SubnetCreate, VpcCreate
from vpcctl.store.database import Database

ADDRESS = "127.0.0.1"
PORTS_PER_VPC = 100
HOSTS_PER_VPC = 10
_ENROLLED_PER_ADDRESS = 40
"""Fewer than what one address may ask at once without a token; beyond it, it is five a second."""
_STRIDE = 37  # spreads a VPC's hosts; coprime to the numbers of hosts that plans have
ADMIN = Actor(role="admin")


@dataclass(frozen=True, slots=True)
class Vpc:
    """A VPC of the simulated network.

    Attributes:
        id: of the VPC.
        tenant_id: whose it is.
        subnet_id: its subnet.
        open_group: its security group that allows everything both ways.
        hosts: the numbers of the hosts that have its ports, in turn.
        ports: those that it began with.
    """

    id: str
    tenant_id: str
    subnet_id: str
    open_group: str
    hosts: tuple[int, ...]
    ports: tuple[str, ...]


@dataclass(slots=True)
class SimulatedHost:
    """A host before and after its enrolment; it reaches the external network, or none."""

    id: str
    vtep: str
    dpid: int
    ports: list[str]
    network: str = ""
    certificate: str = ""
    key: str = ""
    token: str = ""


class _Seeded(Database):
    """A database that is filled: nobody is told of what is in it before all of it is."""

    def flush(self) -> None:
        """Do not wait for the disk: that would take most of the time, for nothing."""


class Cloud:
    """The controller under many simulated hosts; a context manager.

    Args:
        directory: for everything on disk.
        hosts: number of hosts.
        ports: number of ports on them.
    """

    def __init__(self, directory: Path, hosts: int, ports: int) -> None:
        self._directory = directory
        self._state = directory / "state"
        self._numbers = (hosts, ports)
        self._api_port, self._openflow_port = _free_port(), _free_port()
        self.hosts: list[SimulatedHost] = []
        self.vpcs: list[Vpc] = []
        self._controller: Process | None = None
        self._process: Process | None = None
        self._api: Api | None = None
        self._trust: ssl.SSLContext | None = None

    def __enter__(self) -> Self:
        self._directory.mkdir(parents=True)
        # The controller's processes inherit what one connection per host needs.
        allow_connections()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def api(self) -> Api:
        """The administrator's connection to the API."""
        assert self._api is not None
        return self._api

    def prepare(self) -> None:
        """Make the authority, the network, the controller and the hosts' credentials."""
        vpcctl = (sys.executable, "-m", "vpcctl.cli")
        state = ("--state-dir", str(self._state))
        run(*vpcctl, "db", "upgrade", *state)
        run(*vpcctl, "pki", "init", *state, "--name", ADDRESS)
        self._seed()
        self._start_controller()
        ca = ssl.create_default_context(cafile=str(self._ca()))
        for first in range(0, len(self.hosts), _ENROLLED_PER_ADDRESS):
            source = f"127.0.0.{2 + first // _ENROLLED_PER_ADDRESS}"
            api = Api.tls((ADDRESS, self._api_port), "", ca, source=source)
            for number in range(first, min(first + _ENROLLED_PER_ADDRESS, len(self.hosts))):
                self._enroll(number, api)
            api.close()

    def _seed(self) -> None:
        """Fill the database through the product's own services, before the controller starts."""
        database = _Seeded.open(f"sqlite:///{self._state / 'vpcctl.db'}")
        services = Services(database)
        hosts, ports = self._numbers
        for number in range(hosts):
            vtep = f"172.29.{number // 250}.{1 + number % 250}"
            view = services.hosts.create(ADMIN, HostCreate(f"host-{number}", vtep))
            self.hosts.append(SimulatedHost(view.meta.id, vtep, view.dpid, []))
        wide = tuple(range(hosts))
        self._seed_vpc(services, 0, wide, hosts)
        for number in range(1, 1 + (ports - hosts) // PORTS_PER_VPC):
            members = tuple((number + index * _STRIDE) % hosts for index in range(HOSTS_PER_VPC))
            self._seed_vpc(services, number, members, PORTS_PER_VPC)
        self.seed_more(services)
        database.close()

    def seed_more(self, services: Services) -> None:
        """Fill the database with what more there is to be; nothing, unless a cloud says so."""

    def _seed_vpc(
        self, services: Services, number: int, members: tuple[int, ...], ports: int
    ) -> None:
        tenant = f"tenant-{number}"
        wanted = VpcCreate(("10.0.0.0/16",), name=f"vpc-{number}", tenant_id=tenant)
        vpc = services.vpcs.create(ADMIN, wanted).meta.id
        subnet = services.subnets.create(ADMIN, SubnetCreate(vpc, "10.0.0.0/18")).meta.id
        rules = (RuleCreate("ingress"), RuleCreate("egress"))
        group = services.security_groups.create(
            ADMIN, SecurityGroupCreate(vpc, rules=rules, stateful=False)
        )
        values = PortCreate(subnet, security_groups=(group.meta.id,))
        made = [services.ports.create(ADMIN, values).meta.id for _ in range(ports)]
        for index, port in enumerate(made):
            self.hosts[members[index % len(members)]].ports.append(port)
        self.vpcs.append(Vpc(vpc, tenant, subnet, group.meta.id, members, tuple(made)))

    def _start_controller(self) -> None:
        self._controller = Process(
            [
                *(sys.executable, "-m", "vpcctl.cli", "serve", "--state-dir", str(self._state)),
                *("--api-listen", f"https://{ADDRESS}:{self._api_port}"),
                *("--openflow-listen", f"ssl:{ADDRESS}:{self._openflow_port}"),
                *("--log-level", "warning"),
            ],
            log=self._directory / "controller.log",
            # These switches do not list their flows: each audit would write all of them again.
            env={"VPCCTL_AUDIT_INTERVAL_S": "86400"},
        )
        self._trust = ssl.create_default_context(cafile=str(self._ca()))

        def ready() -> bool:
            if not (self._state / "admin.token").exists():
                return False
            self._api = self.connect()
            with contextlib.suppress(ApiError):
                self._api.call("GET", "/readyz")
                return True
            return False

        wait_for("the controller behind TLS", ready, timeout=120, every=0.1)

    def connect(self) -> Api:
        """Return a connection of the administrator's to the API."""
        assert self._trust is not None
        token = (self._state / "admin.token").read_text().strip()
        return Api.tls((ADDRESS, self._api_port), token, self._trust)

    def _ca(self) -> Path:
        """Return the authority's certificate, as ``pki show`` prints it."""
        path = self._directory / "ca.pem"
        if not path.exists():
            words = ("pki", "show", "--ca", "--state-dir", str(self._state))
            path.write_text(run(sys.executable, "-m", "vpcctl.cli", *words))
        return path

    def _enroll(self, number: int, api: Api) -> None:
        """Enrol as an agent does: a key of its own, a signing request, a one-time token."""
        host = self.hosts[number]
        path = f"/v1/hosts/{host.id}/enrollments"
        token = self.api.call("POST", path, {"lifetime_s": 3600})["token"]
        key = ec.generate_private_key(ec.SECP256R1())
        answer = api.call("POST", "/v1/enroll", {"token": token, "csr": _csr(key, host.id)})
        host.token = answer["host_token"]
        host.certificate = str(self._directory / f"{number}.crt")
        host.key = str(self._directory / f"{number}.key")
        Path(host.certificate).write_text(answer["certificate"])
        Path(host.key).touch(mode=0o600)
        Path(host.key).write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def start_hosts(self) -> float:
        """Start all hosts at once; return when, on the monotonic clock."""
        document = {
            "api": [ADDRESS, self._api_port],
            "openflow": [ADDRESS, self._openflow_port],
            "ca": str(self._ca()),
            "hosts": [
                {name: getattr(host, name) for name in SimulatedHost.__slots__}
                for host in self.hosts
            ],
        }
        path = self._directory / "hosts.json"
        path.write_text(json.dumps(document))
        argv = [sys.executable, "-m", "bench.simulated.process", str(path)]
        self._process = Process(argv, log=self._directory / "hosts.log", pipes=True)
        self._answer()
        start = time.monotonic()
        self.ask({"op": "start"})
        return start

    def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Send a command to the hosts' process and return its answer."""
        assert self._process is not None
        assert self._process.popen.stdin is not None
        self._process.popen.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.popen.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.popen.stdout is not None
        line = self._process.popen.stdout.readline()
        if not line:
            raise TooLongError("the simulated hosts' process died")
        return json.loads(line)

    def await_convergence(self, timeout: float) -> float:
        """Wait until every host is in sync and every port located; return when that was.

        Raises:
            TooLongError: with the state it had come to.
        """
        status: dict[str, Any] = {}

        def done() -> bool:
            nonlocal status
            status = self.api.call("GET", "/v1/status")
            in_sync = sum(line["connection"] == "in_sync" for line in status["hosts"])
            status["in_sync"] = in_sync
            return (
                in_sync == len(self.hosts)
                and status["located_ports"] == status["ports"]
                and status["lag"] == 0
            )

        try:
            wait_for("convergence", done, timeout=timeout, every=0.5)
        except TooLongError as error:
            names = ("in_sync", "located_ports", "ports", "lag")
            found = {name: status.get(name) for name in names}
            raise TooLongError(f"{error}: {found}, {self.ask({'op': 'state'})}") from error
        # The last commit, unless reading the status was what took longest.
        return float(self.ask({"op": "state"})["last_commit"])

    def change(self, *, everywhere: bool) -> dict[str, Any]:
        """Attach one more port; return how long until the last host concerned had committed."""
        vpc = self.vpcs[0] if everywhere else random.choice(self.vpcs[1:])
        body = {"subnet_id": vpc.subnet_id, "security_groups": [vpc.open_group]}
        port = self.api.call("POST", "/v1/ports", body)["id"]
        self.await_rest()
        host = random.choice(vpc.hosts)
        command = {"op": "change", "host": host, "port": port, "concerned": vpc.hosts}
        return self.ask({**command, "timeout": 30})

    def await_rest(self) -> None:
        """Wait until no host commits anything any more."""
        last = -1

        def still() -> bool:
            nonlocal last
            before, last = last, self.ask({"op": "state"})["commits"]
            return before == last

        wait_for("rest", still, timeout=30, every=0.15)

    def pids(self) -> tuple[int, ...]:
        """Return the controller's processes."""
        assert self._controller is not None
        return (self._controller.pid, *cpu.children(self._controller.pid))

    def close(self) -> None:
        """Stop everything."""
        if self._api is not None:
            self._api.close()
        if self._process is not None:
            self._process.kill()
        if self._controller is not None:
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._controller.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return probe.getsockname()[1]


def _csr(key: ec.EllipticCurvePrivateKey, name: str) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    signed = request.sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()
