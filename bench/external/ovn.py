"""OVN's way outside: a gateway port of the distributed router, its chassis, and NAT.

A switch with a localnet port is the provider's network. The router's port on it has a gateway
chassis for each host that reaches the network, in the order of their priorities; between chassis
OVN runs BFD by itself. An EIP is ``dnat_and_snat``: distributed with ``logical_port`` and
``external_mac`` where the port's chassis reaches the network, else on the gateway chassis.
"""

from typing import Any

from agent.decide.watch import INTERVAL_MS, MISSING
from bench.addressing import cidr
from bench.host import Host
from bench.outside import NAT_EIP, PROVIDER, REACH, ROUTER, Eip
from bench.ovsdb import insert, ovs_map, ovs_set, where
from bench.systems.ovn import Ovn
from bench.waiting import TooLongError, wait_for
from bench.world import Guest

SWITCH, PORT = "outside", "outside-gateway"
_ADDRESS, _MAC = "198.51.100.10/24", "0e:00:00:ee:00:10"
_FIRST_PRIORITY = 20
_PATIENCE_S = 60.0

BFD = {
    "bfd-min-rx": str(INTERVAL_MS),
    "bfd-min-tx": str(INTERVAL_MS),
    "bfd-mult": str(MISSING),
}
"""What our agents set; OVN's defaults, which ovn-nb(5) lets one change, take several seconds."""


class OvnExternal:
    """Gateway port, chassis and NAT of one OVN, through its persistent connection."""

    def __init__(self, ovn: Ovn) -> None:
        self._ovn = ovn
        self._open = False
        self._rows: dict[str, Any] = {}

    def open(self) -> None:
        """Make the gateway port and the NAT of the first subnet in one transaction."""
        self._open = True
        self._ovn.set_options(BFD)
        self._ovn.nb.transact(*gateway_port(), *_source_nat())
        self._await_gateway()

    def close(self) -> None:
        """Delete all of it; what only the router's columns name goes with them."""
        if not self._open:
            return
        self._open = False
        self._rows.clear()
        ports = self._ovn.nb.select("Logical_Router_Port", where("name", PORT), ["_uuid"])
        gone = ovs_set([port["_uuid"] for port in ports])
        nothing = {"nat": ovs_set([]), "static_routes": ovs_set([])}
        update = {"op": "update", "table": "Logical_Router", "where": where("name", "vpc")}
        self._ovn.nb.transact(
            {**update, "row": nothing},
            _of_router(["ports", "delete", gone]),
            {"op": "delete", "table": "Logical_Switch", "where": where("name", SWITCH)},
        )
        self._ovn.converge(_PATIENCE_S)

    def associate(self, eip: Eip, guest: Guest) -> None:
        """Add a row of NAT in one transaction."""
        distributed = self._ovn.world.reaches(guest.host)
        made = self._ovn.nb.transact(*nat(eip, guest, distributed=distributed))
        self._rows[eip.address] = made[0]["uuid"]

    def disassociate(self, eip: Eip) -> None:
        """Remove the row in one transaction."""
        if row := self._rows.pop(eip.address, None):
            self._ovn.nb.transact(_of_router(["nat", "delete", row]))

    def active(self) -> Host:
        """Return the host of the chassis that has claimed the gateway port."""
        sb = self._ovn.sb
        bindings = sb.select("Port_Binding", where("logical_port", f"cr-{PORT}"), ["chassis"])
        chassis = bindings[0]["chassis"] if bindings else None
        for row in sb.select("Chassis", [], ["_uuid", "name"]):
            if row["_uuid"] == chassis:
                return self._ovn.world.host(row["name"])
        raise TooLongError("no chassis has OVN's gateway port")

    def kill(self, host: Host) -> None:
        """Kill the host's ovn-controller."""
        self._ovn.kill_controller(host)

    def revive(self, host: Host) -> None:
        """Start the host's ovn-controller and wait until the first chassis has the port again."""
        self._ovn.restart(self._ovn.parts[0], host)
        self._await_gateway()

    def _await_gateway(self) -> None:
        self._ovn.converge(_PATIENCE_S)

        def first_has_it() -> bool:
            try:
                return self.active().name == REACH[0]
            except TooLongError:
                return False

        wait_for("OVN's gateway chassis", first_has_it, timeout=_PATIENCE_S, every=0.1)
        for host in self._ovn.world.hosts:
            wait_for("OVN's BFD", lambda host=host: self._is_watching(host), timeout=_PATIENCE_S)
        self._ovn.converge(_PATIENCE_S)

    def _is_watching(self, host: Host) -> bool:
        """Tell whether *host* sees that every other gateway host lives; shadow hosts do not."""
        rows = host.ovsdb.select("Interface", where("type", "geneve"), ["options", "bfd_status"])
        alive = {
            dict(row["options"][1]).get("remote_ip")
            for row in rows
            if dict(row["bfd_status"][1]).get("state") == "up"
        }
        others = {self._ovn.world.host(name).vtep for name in REACH} - {host.vtep}
        return others <= alive


def gateway_port() -> list[dict[str, Any]]:
    """Return what makes the provider's switch and the router's port on it."""
    chassis = [
        insert(
            "Gateway_Chassis",
            {
                "name": f"{PORT}-{name}",
                "chassis_name": name,
                "priority": _FIRST_PRIORITY - place,
            },
            f"chassis{place}",
        )
        for place, name in enumerate(REACH)
    ]
    names = ovs_set([["named-uuid", f"chassis{place}"] for place in range(len(REACH))])
    port = {"name": PORT, "mac": _MAC, "networks": _ADDRESS, "gateway_chassis": names}
    return [
        *chassis,
        insert("Logical_Router_Port", port, "gateway"),
        *_provider_switch(),
        insert("Logical_Router_Static_Route", _DEFAULT_ROUTE, "route"),
        _of_router(
            ["ports", "insert", ["named-uuid", "gateway"]],
            ["static_routes", "insert", ["named-uuid", "route"]],
        ),
    ]


_DEFAULT_ROUTE = {"ip_prefix": "0.0.0.0/0", "nexthop": ROUTER, "output_port": PORT}


def _provider_switch() -> list[dict[str, Any]]:
    wire = {
        "name": f"{SWITCH}-wire",
        "type": "localnet",
        "addresses": "unknown",
        "options": ovs_map({"network_name": PROVIDER}),
    }
    # nat-addresses has the chassis announce what NAT answers for.
    to_router = {
        "name": f"{SWITCH}-router",
        "type": "router",
        "addresses": "router",
        "options": ovs_map({"router-port": PORT, "nat-addresses": "router"}),
    }
    ports = ovs_set([["named-uuid", "wire"], ["named-uuid", "torouter"]])
    return [
        insert("Logical_Switch_Port", wire, "wire"),
        insert("Logical_Switch_Port", to_router, "torouter"),
        insert("Logical_Switch", {"name": SWITCH, "ports": ports}, "outside"),
    ]


def _source_nat() -> list[dict[str, Any]]:
    row = {"type": "snat", "external_ip": NAT_EIP, "logical_ip": cidr(0)}
    return [insert("NAT", row, "source"), _of_router(["nat", "insert", ["named-uuid", "source"]])]


def nat(eip: Eip, guest: Guest, *, distributed: bool) -> list[dict[str, Any]]:
    """Return what makes an EIP of a guest's port."""
    row = {
        "type": "dnat_and_snat",
        "external_ip": eip.address,
        "logical_ip": guest.spec.address,
    }
    if distributed:
        row |= {"logical_port": guest.spec.name, "external_mac": eip.mac}
    return [insert("NAT", row, "nat"), _of_router(["nat", "insert", ["named-uuid", "nat"]])]


def _of_router(*mutations: list[Any]) -> dict[str, Any]:
    return {
        "op": "mutate",
        "table": "Logical_Router",
        "where": where("name", "vpc"),
        "mutations": list(mutations),
    }
