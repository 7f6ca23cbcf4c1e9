"""Raw VXLAN with a handful of flows written by hand: the limit of what this datapath can do."""

from collections.abc import Callable, Sequence

from bench.addressing import GATEWAY_MAC, PortSpec
from bench.host import Host
from bench.ovsdb import insert, ovs_map, where
from bench.systems.static_tracked import tracked
from bench.world import Guest, World

Flows = dict[str, list[str]]
"""Flows of hosts, by the host's name."""


class Static:
    """No control plane: the flows are written once the guests are plugged."""

    name = "static"
    parts: tuple[str, ...] = ()

    def __init__(self, world: World) -> None:
        self.world = world
        self._plugged: dict[str, Guest] = {}
        self._tracked = False
        self._more: Callable[[], Flows] = dict

    def setup(self) -> None:
        """Give every host a flow-based VXLAN port."""
        for host in self.world.hosts:
            options = {"remote_ip": "flow", "key": "flow"}
            row = {"name": "vxlan", "type": "vxlan", "options": ovs_map(options)}
            host.ovsdb.transact(
                insert("Interface", row, "interface"),
                insert("Port", {"name": "vxlan", "interfaces": ["named-uuid", "interface"]}, "p"),
                {
                    "op": "mutate",
                    "table": "Bridge",
                    "where": where("name", "br-int"),
                    "mutations": [["ports", "insert", ["named-uuid", "p"]]],
                },
            )

    def create_port(self, spec: PortSpec) -> None:
        """Do nothing: there is no API."""

    def delete_port(self, spec: PortSpec) -> None:
        """Forget the port."""
        self._plugged.pop(spec.name, None)

    def plug(self, guest: Guest) -> None:
        """Plug a guest and write everybody's flows anew."""
        guest.host.add_interface("br-int", guest.device)
        self._plugged[guest.spec.name] = guest
        self._write()

    def track(self, *, everything: bool) -> None:
        """Let every packet go through conntrack, or none."""
        self._tracked = everything
        self._write()

    def guests(self) -> tuple[Guest, ...]:
        """Return the guests that are plugged."""
        return tuple(self._plugged.values())

    def add_flows(self, make: Callable[[], Flows]) -> None:
        """Let hosts have the flows that *make* returns beside those between guests.

        It is asked anew at each plugging, which gives a guest another OpenFlow port number.
        """
        self._more = make
        self._write()

    def _write(self) -> None:
        more = self._more()
        for host in self.world.hosts:
            flows = self._flows(host)
            if self._tracked:
                flows = tracked(flows)
            flows += more.get(host.name, [])
            host.ofctl("replace-flows", "-", stdin="\n".join(flows) + "\n")

    def unplug(self, guest: Guest) -> None:
        """Unplug a guest."""
        guest.host.remove_interface("br-int", guest.device)
        self._plugged.pop(guest.spec.name, None)

    def is_plugged(self, guest: Guest) -> bool:
        """Tell whether a guest is plugged."""
        return guest.host.has_interface(guest.device)

    def _flows(self, host: Host) -> list[str]:
        tunnel = host.ofport("vxlan")
        flows: list[str] = []
        for target in self._plugged.values():
            vni = 100 + target.spec.subnet
            if target.host is host:
                port = target.host.ofport(target.device)
                out = f"output:{port}"
                flows.append(
                    f"in_port={tunnel},tun_id={vni},dl_dst={target.spec.mac},actions={out}"
                )
            else:
                out = f"set_field:{vni}->tun_id,set_field:{target.host.vtep}->tun_dst,"
                out += f"output:{tunnel}"
            for source in self._plugged.values():
                if source.host is not host or source is target:
                    continue
                flows.append(self._edge(source, target, out))
        return flows

    def _edge(self, source: Guest, target: Guest, out: str) -> str:
        match = f"in_port={source.host.ofport(source.device)}"
        if source.spec.subnet == target.spec.subnet:
            return f"{match},dl_dst={target.spec.mac},actions={out}"
        rewrite = f"dec_ttl,set_field:{GATEWAY_MAC}->eth_src,set_field:{target.spec.mac}->eth_dst"
        match += f",ip,dl_dst={GATEWAY_MAC},nw_dst={target.spec.address}"
        return f"{match},actions={rewrite},{out}"

    def interface_id(self, spec: PortSpec) -> str:
        """Return the port's name; nothing looks at it."""
        return spec.name

    def serve_guests(self, specs: Sequence[PortSpec], domain: str) -> None:
        """Do nothing: nobody answers guests here."""

    def grow(self, ports: int) -> None:
        """Do nothing: the limit has no other ports."""

    def restart(self, part: str, host: Host) -> None:
        """Do nothing: there is nothing to restart."""

    def rest(self, host: Host) -> None:
        """Do nothing: there is no connection."""

    def forget(self, host: Host) -> None:
        """Do nothing: there is nothing to forget."""

    def converge(self, timeout: float) -> None:
        """Return at once: plugging has waited for its flows."""

    def pids(self) -> dict[str, int]:
        """Return no process."""
        return {}

    def close(self) -> None:
        """Do nothing."""
