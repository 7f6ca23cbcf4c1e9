"""Workloads: namespaces attached to ports, and a prober in each."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mininet_labs.common.processes import Daemons, LabError

if TYPE_CHECKING:
    from mininet_labs.common.hypervisor import Hypervisor

PROBER = Path(__file__).with_name("prober.py")
FAMILIES = (4, 6)


@dataclass(frozen=True)
class Workload:
    """A namespace attached to a port.

    Attributes:
        name: of the workload and its namespace, such as ``red-1``.
        tenant: who owns it.
        subnet: name of its subnet.
        host: where it is.
        port_id: its port.
        addresses: address by family, 4 and 6.
        gateways: its subnet's gateway by family.
    """

    name: str
    tenant: str
    subnet: str
    host: "Hypervisor"
    port_id: str
    addresses: dict[int, str]
    gateways: dict[int, str]


class Prober:
    """The prober inside one workload."""

    def __init__(self, workload: Workload, daemons: Daemons) -> None:
        self.workload = workload
        # Isolated and without site packages: it starts in a few milliseconds.
        command = workload.host.within(
            workload.name, "/usr/bin/python3", "-IS", str(PROBER), workload.name
        )
        self._process: subprocess.Popen[bytes] = daemons.start(
            f"prober-{workload.name}", command, talk=True
        )

    def wait(self) -> None:
        """Return when it listens."""
        self._read()

    def probe(self, targets: list[dict[str, Any]], patience_s: float) -> list[dict[str, Any]]:
        """Return what each target answered; see ``prober.Prober.probe``."""
        return self._ask({"do": "probe", "targets": targets, "patience_s": patience_s})["results"]

    def seen(self) -> set[tuple[str, int, str]]:
        """Return (protocol, family, sender) of everything that arrived."""
        return {(kind, family, name) for kind, family, name in self._ask({"do": "seen"})["seen"]}

    def end(self) -> None:
        """Let it end, so that its namespace is nobody's any more."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=5.0)

    def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        if self._process.stdin is None:
            raise LabError("a prober is started with pipes")
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            raise LabError(f"the prober in {self.workload.name} ended by itself")
        return json.loads(line)


@dataclass(frozen=True)
class Sight:
    """What was seen between an ordered pair of workloads.

    Attributes:
        ping: an echo request arrived, and where one should, its reply came back.
        tcp: a connection with all its data came about.
    """

    ping: bool
    tcp: bool


Pair = tuple[str, str, int]


def start_probers(workloads: list[Workload], daemons: Daemons) -> list[Prober]:
    """Start a prober in every workload and return when all listen."""
    probers = [Prober(workload, daemons) for workload in workloads]
    for prober in probers:
        prober.wait()
    return probers


def probe_pairs(probers: list[Prober], patience_s: float) -> dict[Pair, Sight]:
    """Let everybody try to reach everybody, all at once; return what both ends saw.

    Between tenants a packet to an address arrives, rightly, at the own tenant's workload that has
    the same one. So only what arrived at the other tenant's workload, or answered in its name,
    counts as reaching it.
    """
    everybody = [prober.workload for prober in probers]
    with ThreadPoolExecutor(len(probers)) as pool:
        answers = list(
            pool.map(lambda one: one.probe(_targets(one.workload, everybody), patience_s), probers)
        )
    seen = {prober.workload.name: prober.seen() for prober in probers}
    sights: dict[Pair, Sight] = {}
    for prober, results in zip(probers, answers, strict=True):
        answered = {result["address"]: result for result in results}
        for other in everybody:
            if other is not prober.workload:
                for family in FAMILIES:
                    pair = (prober.workload.name, other.name, family)
                    result = answered[other.addresses[family]]
                    sights[pair] = _judge(prober.workload, other, family, result, seen[other.name])
    return sights


def probe_gateways(probers: list[Prober], patience_s: float) -> dict[Pair, bool]:
    """Let everybody ping its gateways; return whether they answered, by (name, address, family)."""

    def ping(prober: Prober) -> dict[Pair, bool]:
        gateways = prober.workload.gateways
        targets = [
            {"address": address, "family": family, "tcp": False, "hope": True}
            for family, address in gateways.items()
        ]
        results = prober.probe(targets, patience_s)
        answered = {result["address"]: result["ping"] for result in results}
        return {
            (prober.workload.name, address, family): answered[address]
            for family, address in gateways.items()
        }

    with ThreadPoolExecutor(len(probers)) as pool:
        return {pair: ok for part in pool.map(ping, probers) for pair, ok in part.items()}


def is_expected(one: Workload, other: Workload) -> bool:
    """Tell whether *one* may reach *other*: within a VPC everybody may, across nobody."""
    return one.tenant == other.tenant


def _targets(source: Workload, everybody: list[Workload]) -> list[dict[str, Any]]:
    """Return every address that anybody has, once; there is hope for the own tenant's."""
    addresses = {(f, workload.addresses[f]) for workload in everybody for f in FAMILIES}
    friends = [w for w in everybody if is_expected(source, w) and w is not source]
    hoped = {workload.addresses[f] for workload in friends for f in FAMILIES}
    return [
        {"address": address, "family": family, "tcp": True, "hope": address in hoped}
        for family, address in sorted(addresses)
    ]


def _judge(
    source: Workload,
    target: Workload,
    family: int,
    result: dict[str, Any],
    seen: set[tuple[str, int, str]],
) -> Sight:
    arrived = ("ping", family, source.name) in seen
    talked = ("tcp", family, source.name) in seen
    named = result["tcp"] == target.name
    if is_expected(source, target):
        return Sight(ping=arrived and result["ping"], tcp=talked and named)
    return Sight(ping=arrived, tcp=talked or named)
