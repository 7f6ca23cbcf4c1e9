"""One host with real packets: what its dummy datapath, conntrack included, sends out where."""

import asyncio
import re
import struct
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from agent.ofctl import Switch
from tests.support.dummy_ovs import DummyOvs, wait_until
from vpcctl.compile import compile_host
from vpcctl.flows.cookie import LEARNED_COOKIE, OWNER_MASK, Feature, cookie
from vpcctl.flows.flow import Flow
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import BY_NUMBER, DROP, EGRESS_ACL, INGRESS_ACL
from vpcctl.flows.text import format_flow, format_unmetered
from vpcctl.model.host import GUEST_SERVICE_OFPORT, STAND_OFPORT, Host
from vpcctl.model.network import Network

_PCAP_HEADER, _RECORD_HEADER = 24, 16
_ANSWERS = 11
"""A turn of ovs-vswitchd's loop takes a packet a port, then answers at most ten questions of a
connection: whoever has this many answers after a packet knows that it has been taken."""


class Wire:
    """A bridge that has a host's program and records what leaves its ports.

    Attributes:
        net: the network.
        metered: whether flows have their meters from the next program on.
    """

    def __init__(self, ovs: DummyOvs, net: Network, host: Host, bridge: str) -> None:
        self._ovs, self.net, self._host, self._bridge = ovs, net, host, bridge
        self.metered = False
        used = {one.ofport for one in net.locations.values() if one.host_id == host.id}
        used.update(one.ofport for one in (*host.outside, *host.watches))
        if host.outside:
            used.update((GUEST_SERVICE_OFPORT, STAND_OFPORT))
        ovs.add_bridge(bridge, host.tunnel_ofport or 1, sorted(used))
        self._seen: dict[int, int] = {}
        self._names: dict[int, str] = {}
        for ofport in used:
            name = f"{bridge}-{ofport}"
            pcap = self._pcap(ofport)
            ovs.vsctl("set", "interface", name, f"options:tx_pcap={pcap}")
            self._seen[ofport] = _PCAP_HEADER
        self.forget()
        self.program()

    def record_uplink(self) -> None:
        """Record what leaves by the underlay, too, as port 0; what is sent there comes from it."""
        self._ovs.vsctl("set", "interface", "uplink", f"options:tx_pcap={self._pcap(0)}")
        self._names[0] = "uplink"
        self._seen[0] = _PCAP_HEADER

    def _pcap(self, ofport: int) -> Path:
        return self._ovs.directory / f"{self._bridge}-{ofport}.pcap"

    def close(self) -> None:
        self._ovs.delete_bridges([self._bridge])
        for ofport in self._seen:
            self._pcap(ofport).unlink(missing_ok=True)

    def forget(self) -> None:
        """Empty conntrack."""
        self._ovs.control.call("dpctl/flush-conntrack")

    def flows(self) -> list[Flow]:
        return [flow for flows in compile_host(self.net, self._host.id) for flow in flows]

    def program(self, flows: Iterable[Flow] | None = None, *, settles: bool = True) -> None:
        """Give the bridge its flows as the network says now, or those given.

        Args:
            flows: them; None: what the network says.
            settles: whether what was not counted yet is counted first. Else the new flows count it,
                which come in one moment then.
        """
        some = list(self.flows() if flows is None else flows)
        write = format_unmetered
        if self.metered:
            write = partial(format_flow, names=False)
            self._ovs.ofctl("del-meters", self._bridge)
            for meter in {flow.meter for flow in some if flow.meter is not None}:
                self._ovs.ofctl("add-meter", self._bridge, str(meter))
        lines = [write(flow) for flow in some]
        if settles:
            self.settle()
        self._ovs.replace_flows(self._bridge, lines, bundled=not settles)
        self._ovs.control.call("revalidator/wait")

    def send(self, ofport: int, *frames: bytes) -> dict[int, list[bytes]]:
        """What leaves which port when a guest sends *frames*."""
        for frame in frames:
            name = self._names.get(ofport, f"{self._bridge}-{ofport}")
            self._ovs.control.call("netdev-dummy/receive", name, frame.hex())
            for _ in range(_ANSWERS):
                self._ovs.control.call("version")
        return {port: got for port in sorted(self._seen) if (got := self._new(port))}

    def _new(self, ofport: int) -> list[bytes]:
        data, position = self._pcap(ofport).read_bytes(), self._seen[ofport]
        found: list[bytes] = []
        while position < len(data):
            (length,) = struct.unpack_from("<8xI", data, position)
            found.append(data[position + _RECORD_HEADER : position + _RECORD_HEADER + length])
            position += _RECORD_HEADER + length
        self._seen[ofport] = position
        return found

    def lose(self, ofport: int) -> None:
        """Take a port down, as BFD does when whom it watches is dead; wait until that is seen."""
        self._set(ofport, "down")

    def find(self, ofport: int) -> None:
        """Bring a port up again."""
        self._set(ofport, "up")

    def _set(self, ofport: int, state: str) -> None:
        name = f"{self._bridge}-{ofport}"
        self.settle()  # what was not counted yet would be counted on the new way
        self._ovs.control.call("netdev-dummy/set-admin-state", name, state)
        is_down = state == "down"
        wait_until(lambda: self._is_down(ofport) == is_down, f"port {ofport} is not {state}")
        self._ovs.control.call("revalidator/wait")

    def _is_down(self, ofport: int) -> bool:
        shown = self._ovs.ofctl("dump-ports-desc", self._bridge)  # of ports this high only all
        (found,) = re.findall(
            rf"^ {ofport}\([^)]*\):.*?state: +(.*?)$", shown, re.DOTALL | re.MULTILINE
        )
        return "LINK_DOWN" in found

    def dropped(self, reason: Reason) -> int:
        """Packets that have been dropped for *reason*, all told."""
        self.settle()
        shown = self._ovs.ofctl("dump-flows", self._bridge, f"table={DROP.number}", "--no-names")
        found = re.findall(rf"n_packets=(\d+),.*reg6={int(reason):#x}[ ,]", shown)
        return sum(map(int, found))

    def packets(self, owner: int) -> int:
        """Packets that the flows with a cookie have counted, as agents ask for them."""
        self.settle()
        switch = Switch(self._ovs.directory / f"{self._bridge}.mgmt")
        return asyncio.run(switch.packets([owner]))[0]

    def learned(self) -> str:
        """The flows that flows have learned."""
        cookies = f"cookie={LEARNED_COOKIE:#x}/{OWNER_MASK:#x}"
        shown = self._ovs.ofctl("dump-flows", self._bridge, cookies)
        return "\n".join(line for line in shown.splitlines() if "actions=" in line)

    def explain(self, packet: str) -> str:
        """What the bridge would do with a packet, as Open vSwitch tells it."""
        return self._ovs.control.call("ofproto/trace", self._bridge, packet)

    def connections(self) -> str:
        return self._ovs.control.call("dpctl/dump-conntrack")

    def settle(self) -> None:
        """Have what the datapath has counted so far counted by flows too, and forget its answers.

        A purge leaves out what the revalidators have in hand at that moment.
        """

        def is_purged() -> bool:
            self._ovs.control.call("revalidator/purge")
            return not self._ovs.control.call("dpctl/dump-flows").strip()

        wait_until(is_purged, "the datapath forgets nothing")

    def counters(self, port_key: int) -> dict[str, int]:
        """Packets that a port's own flows have counted: by filter, and by reason in Drop."""
        owner, found = f"cookie={cookie(Feature.EDGE, port_key):#x}", Counter[str]()
        shown = self._ovs.ofctl("dump-flows", self._bridge, "--no-names")
        for line in shown.splitlines():
            seen = re.search(r"table=(\d+), n_packets=(\d+),.*priority=\d+,(\S*)", line)
            if seen is None or f"{owner}," not in line:
                continue
            table, reason = BY_NUMBER[int(seen[1])], re.search(r"reg6=(\w+)", seen[3])
            if table is DROP and reason is not None:
                found[Reason(int(reason[1], 0)).text] += int(seen[2])
            elif table in (EGRESS_ACL, INGRESS_ACL):
                found[table.name] += int(seen[2])
        return dict(found)
