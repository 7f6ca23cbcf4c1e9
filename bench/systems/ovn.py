"""OVN at its best: persistent connections, no probes on them, no process per change."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.addressing import (
    GATEWAY_MAC,
    SUBNETS,
    PortSpec,
    gateway,
    mass_port,
    shadow_host,
    shadow_vtep,
)
from bench.host import Host
from bench.outside import BRIDGE, PROVIDER
from bench.ovsdb import Ovsdb, insert, ovs_map, ovs_set, where
from bench.processes import Process, run
from bench.systems.base import Plugging
from bench.systems.packages import OvnBuild
from bench.waiting import TooLongError, wait_for
from bench.world import World

BATCH = 500
ASK_AGAIN_S = 30.0
"""An ovn-controller whose OpenFlow connection broke forgets which ``nb_cfg`` it was to confirm."""

_CONTROLLER_SETTINGS = {
    # Each host needs the whole of this network, so filtering rows for it only costs time.
    "ovn-monitor-all": "true",
    "ovn-remote-probe-interval": "0",
    "ovn-openflow-probe-interval": "0",
    "ovn-encap-type": "geneve",
}


class Ovn(Plugging):
    """One OVN: two databases, northd, and an ovn-controller per host.

    Args:
        world: the hosts.
        build: which OVN.
        settings: more ``external_ids`` for every ovn-controller.
    """

    name = "ovn"
    parts: tuple[str, ...] = ("ovn-controller",)

    def __init__(
        self, world: World, build: OvnBuild, settings: dict[str, str] | None = None
    ) -> None:
        self.world = world
        self._build = build
        self._settings = settings or {}
        self._directory = world.directory / "ovn"
        self._central: dict[str, Process] = {}
        self._controllers: dict[str, Process] = {}
        self._nb: Ovsdb | None = None
        self._sb: Ovsdb | None = None
        self._mass = 0
        self._placed = 0
        self._cfg = 0

    @property
    def nb(self) -> Ovsdb:
        """The persistent connection to the northbound database."""
        assert self._nb is not None
        return self._nb

    @property
    def sb(self) -> Ovsdb:
        """The persistent connection to the southbound database."""
        assert self._sb is not None
        return self._sb

    def setup(self) -> None:
        """Start OVN, connect the hosts, make one router with all its switches."""
        self._directory.mkdir()
        self._nb = self._start_database("nb", self._build.nb_schema, "OVN_Northbound")
        self._sb = self._start_database("sb", self._build.sb_schema, "OVN_Southbound")
        self.nb.transact(insert("NB_Global", {"options": ovs_map({"northd_probe_interval": "0"})}))
        self.sb.transact(insert("SB_Global", {}))
        sockets = [f"--ovn{name}-db=unix:{self._socket(name)}" for name in ("nb", "sb")]
        self._central["northd"] = self._start("ovn-northd", sockets, self._directory)
        for host in self.world.hosts:
            self._configure(host)
            self._start_controller(host)
        self.nb.transact(*_router())
        self.converge(60)

    def _socket(self, name: str) -> Path:
        return self._directory / f"{name}.sock"

    def _start_database(self, name: str, schema: Path, database: str) -> Ovsdb:
        file = self._directory / f"{name}.db"
        run("ovsdb-tool", "create", str(file), str(schema))
        argv = ["ovsdb-server", str(file), f"--remote=punix:{self._socket(name)}"]
        argv += [f"--unixctl={self._directory}/{name}.ctl"]
        self._central[name] = Process(argv, log=self._directory / f"{name}.log")
        return Ovsdb.await_server(self._socket(name), database)

    def _start(
        self, program: str, words: list[str], directory: Path, host: Host | None = None
    ) -> Process:
        log = f"--log-file={directory}/{program}.log"
        return Process(
            [self._build.programs[program], *words, log, "-vconsole:off"],
            log=directory / f"{program}.out",
            netns=host.netns if host else None,
            env=host.env if host else {"OVN_RUNDIR": str(directory), "OVS_RUNDIR": str(directory)},
        )

    def _configure(self, host: Host) -> None:
        ids = {
            "system-id": host.name,
            "ovn-remote": f"unix:{self._socket('sb')}",
            "ovn-encap-ip": host.vtep,
            "ovn-bridge": "br-int",
            **_CONTROLLER_SETTINGS,
            **self._settings,
        }
        if self.world.reaches(host):
            ids["ovn-bridge-mappings"] = f"{PROVIDER}:{BRIDGE}"
        host.ovsdb.update("Open_vSwitch", [], {"external_ids": ovs_map(ids)})

    def _start_controller(self, host: Host) -> None:
        words = [f"unix:{host.socket}"]
        process = self._start("ovn-controller", words, host.directory, host)
        self._controllers[host.name] = process

    def interface_id(self, spec: PortSpec) -> str:
        """Return the logical port's name."""
        return spec.name

    def create_port(self, spec: PortSpec) -> None:
        """Create a logical switch port in one transaction."""
        self.nb.transact(*_port(spec, 0))

    def serve_guests(self, specs: Sequence[PortSpec], domain: str) -> None:
        """Set DHCP options on the ports, and records of all their names on every switch."""
        self.nb.transact({"op": "delete", "table": "DNS", "where": []})
        self.nb.transact(*_dhcp(specs))
        self.nb.transact(*_records(specs, domain))

    def delete_port(self, spec: PortSpec) -> None:
        """Delete a logical switch port."""
        rows = self.nb.select("Logical_Switch_Port", where("name", spec.name), ["_uuid"])
        gone = ovs_set([row["_uuid"] for row in rows])
        self.nb.transact(_mutate(spec.subnet, "delete", gone))

    def grow(self, ports: int) -> None:
        """Create mass ports in large transactions and bind them to shadow chassis."""
        for start in range(self._mass, ports, BATCH):
            numbers = range(start, min(start + BATCH, ports))
            operations = [op for number in numbers for op in _port(mass_port(number), number)]
            self.nb.transact(*operations)
            self._mass = numbers.stop
        self.converge(600)
        for shadow in range(shadow_host(ports - 1) + 1 if ports else 0):
            self._bind(shadow, range(self._placed, ports))
        self._placed = max(self._placed, ports)
        self.converge(600)

    def _bind(self, shadow: int, numbers: range) -> None:
        name = f"shadow-{shadow}"
        if not self.sb.select("Chassis", where("name", name), ["_uuid"]):
            self.sb.transact(*_chassis(name, shadow_vtep(shadow)))
        chassis = self.sb.select("Chassis", where("name", name), ["_uuid"])[0]["_uuid"]
        mine = [number for number in numbers if shadow_host(number) == shadow]
        row = {"chassis": chassis, "up": True}
        for start in range(0, len(mine), BATCH):
            self.sb.transact(
                *(
                    {
                        "op": "update",
                        "table": "Port_Binding",
                        "where": where("logical_port", mass_port(number).name),
                        "row": row,
                    }
                    for number in mine[start : start + BATCH]
                )
            )

    def restart(self, part: str, host: Host) -> None:
        """Kill the host's ovn-controller and start it again."""
        assert part in self.parts
        self._controllers[host.name].kill()
        self._start_controller(host)

    def kill_controller(self, host: Host) -> None:
        """Kill the host's ovn-controller with SIGKILL; :meth:`restart` starts it again."""
        self._controllers[host.name].kill()

    def set_options(self, options: dict[str, str]) -> None:
        """Set options of the whole installation beside those that it always has."""
        mutation = ["options", "insert", ovs_map(options)]
        change = {"op": "mutate", "table": "NB_Global", "where": [], "mutations": [mutation]}
        self.nb.transact(change)

    def rest(self, host: Host) -> None:
        """Do nothing: OVN does not hold its switch back."""

    def forget(self, host: Host) -> None:
        """Recompute: incremental processing alone keeps a network that lost its last port."""
        control = host.directory / f"ovn-controller.{self._controllers[host.name].pid}.ctl"
        run("ovs-appctl", "-t", str(control), "inc-engine/recompute")

    def converge(self, timeout: float) -> None:
        """Raise ``nb_cfg`` and wait until every real chassis has come to it."""
        until = time.monotonic() + timeout
        while True:
            self._cfg += 1
            self.nb.update("NB_Global", [], {"nb_cfg": self._cfg})
            left = until - time.monotonic()
            try:
                wait_for("OVN's hosts", self._acknowledged, timeout=min(left, ASK_AGAIN_S))
                return
            except TooLongError:
                if left <= ASK_AGAIN_S:
                    raise

    def _acknowledged(self) -> bool:
        rows = self.sb.select("Chassis_Private", [], ["name", "nb_cfg"])
        current = [row["name"] for row in rows if row["nb_cfg"] >= self._cfg]
        return len(current) >= len(self.world.hosts)

    def pids(self) -> dict[str, int]:
        """Return the databases, northd and the controllers."""
        central = {f"ovn {name}": process.pid for name, process in self._central.items()}
        hosts = {f"ovn-controller {name}": p.pid for name, p in self._controllers.items()}
        return central | hosts

    def close(self) -> None:
        """Stop all of it."""
        for connection in (self._nb, self._sb):
            if connection is not None:
                connection.close()
        for process in (*self._controllers.values(), *reversed(self._central.values())):
            process.kill()
            time.sleep(0)


def _router() -> list[dict[str, Any]]:
    operations: list[dict[str, Any]] = []
    for subnet in range(SUBNETS):
        operations += [
            insert(
                "Logical_Router_Port",
                {
                    "name": f"gateway-{subnet}",
                    "mac": GATEWAY_MAC,
                    "networks": f"{gateway(subnet)}/16",
                },
                f"gateway{subnet}",
            ),
            insert(
                "Logical_Switch_Port",
                {
                    "name": f"router-{subnet}",
                    "type": "router",
                    "addresses": "router",
                    "options": ovs_map({"router-port": f"gateway-{subnet}"}),
                },
                f"router{subnet}",
            ),
            insert(
                "Logical_Switch",
                {"name": f"subnet-{subnet}", "ports": ["named-uuid", f"router{subnet}"]},
            ),
        ]
    gateways = ovs_set([["named-uuid", f"gateway{subnet}"] for subnet in range(SUBNETS)])
    return [*operations, insert("Logical_Router", {"name": "vpc", "ports": gateways})]


def _port(spec: PortSpec, number: int) -> list[dict[str, Any]]:
    # The same protection that our ports have by default: only their own MAC and address.
    addresses = f"{spec.mac} {spec.address}"
    row = {"name": spec.name, "addresses": addresses, "port_security": addresses}
    name = f"port{number}"
    return [
        insert("Logical_Switch_Port", row, name),
        _mutate(spec.subnet, "insert", ["named-uuid", name]),
    ]


def _dhcp(specs: Sequence[PortSpec]) -> list[dict[str, Any]]:
    operations: list[dict[str, Any]] = []
    for subnet in sorted({spec.subnet for spec in specs}):
        said = {
            "server_id": gateway(subnet),
            "server_mac": GATEWAY_MAC,
            "lease_time": "86400",
            "router": gateway(subnet),
            "mtu": "1400",
            "dns_server": "169.254.169.253",
        }
        row = {"cidr": f"10.{subnet}.0.0/16", "options": ovs_map(said)}
        operations.append(insert("DHCP_Options", row, f"dhcp{subnet}"))
    for spec in specs:
        options = ["named-uuid", f"dhcp{spec.subnet}"]
        operations.append(_update("Logical_Switch_Port", spec.name, {"dhcpv4_options": options}))
    return operations


def _records(specs: Sequence[PortSpec], domain: str) -> list[dict[str, Any]]:
    records = ovs_map({f"{spec.name}.{domain}": spec.address for spec in specs})
    row = {"dns_records": ["named-uuid", "names"]}
    switches = (f"subnet-{subnet}" for subnet in range(SUBNETS))
    return [
        insert("DNS", {"records": records}, "names"),
        *(_update("Logical_Switch", name, row) for name in switches),
    ]


def _update(table: str, name: str, row: dict[str, Any]) -> dict[str, Any]:
    return {"op": "update", "table": table, "where": where("name", name), "row": row}


def _mutate(subnet: int, how: str, ports: list[Any]) -> dict[str, Any]:
    return {
        "op": "mutate",
        "table": "Logical_Switch",
        "where": where("name", f"subnet-{subnet}"),
        "mutations": [["ports", how, ports]],
    }


def _chassis(name: str, vtep: str) -> list[dict[str, Any]]:
    encap = {"type": "geneve", "ip": vtep, "chassis_name": name}
    return [
        insert("Encap", encap, "encap"),
        insert(
            "Chassis",
            {"name": name, "hostname": name, "encaps": ["named-uuid", "encap"]},
        ),
    ]
