"""The pair between br-int and the namespace of the sockets for names and metadata."""

from typing import Any

from pyroute2.netlink.exceptions import NetlinkError

from agent.decide import marks
from agent.netlink import core
from vpcctl.model.addresses import GATEWAY_MAC, format_mac
from vpcctl.model.names import CLIENTS4, CLIENTS6, NAMES_MAC, SERVERS4, SERVERS6

_INSIDE = "eth0"
_NODAD = 0x02
_LOCAL_TABLE, _HOST_SCOPE, _ONLINK = 255, 254, 4
_HOPS = ("192.0.2.1", "fe80::1")
"""Who all guests are behind, in the namespace: flows, whatever the address is."""


class ServicesDriver:
    """Connects the network namespace of the sockets with br-int. Belongs to the worker thread.

    The namespace has a name, so it outlives the process, and the agent, and with it the pair: where
    Open vSwitch forwards itself, a port that goes or comes costs other ports' packets.

    Args:
        namespaces: the host's namespaces.
        owner: host id that marks what we make.
        checksums_off: see :class:`agent.netlink.attachments.AttachmentDriver`.
    """

    def __init__(self, namespaces: core.Namespaces, owner: str, *, checksums_off: bool) -> None:
        self._namespaces = namespaces
        self._netns = marks.services_netns(owner)
        self._alias = marks.services_netns_alias(owner)
        self._checksums_off = checksums_off

    def make(self) -> str:
        """Make the namespace, if it is not there; return its file.

        Raises:
            OSError, NetlinkError: the kernel refused, or the name is somebody else's.
        """
        if not self._namespaces.exists(self._netns):
            self._namespaces.make(self._netns, self._alias)
        if not self._is_ours():
            raise OSError(f"network namespace {self._netns} is not ours")
        return str(self._namespaces.path(self._netns))

    def is_connected(self) -> bool:
        """Tell whether the pair is there, one end here and the other in the namespace.

        Raises:
            OSError, NetlinkError: the kernel refused, or the name is somebody else's.
        """
        outer = self._own()
        if outer is None or core.attribute(outer, "IFLA_IFALIAS") != marks.SERVICES_ALIAS:
            return False
        with self._namespaces.inside(self._netns) as sock:
            inner = core.find_link(sock, _INSIDE)
            if inner is None:
                return False
            ends = core.attribute(outer, "IFLA_LINK"), core.attribute(inner, "IFLA_LINK")
            return ends == (inner["index"], outer["index"])

    def connect(self) -> None:
        """Make the pair, in place of what is left of an earlier one.

        Raises:
            OSError, NetlinkError: the kernel refused, or the name is somebody else's.
        """
        self.disconnect()
        host = self._namespaces.host
        with self._namespaces.path(self._netns).open("rb") as opened:
            peer = {
                "ifname": _INSIDE,
                "address": format_mac(NAMES_MAC),
                "net_ns_fd": opened.fileno(),
            }
            host.link("add", ifname=marks.SERVICES, kind="veth", group=marks.LINK_GROUP, peer=peer)
        core.shut_out_kernel(marks.SERVICES, shut=True)
        with self._namespaces.inside(self._netns) as sock:
            self._prepare(sock)
        # The mark comes last: what was left half made is made anew.
        index = host.link("get", ifname=marks.SERVICES)[0]["index"]
        host.link("set", index=index, ifalias=marks.SERVICES_ALIAS, state="up")

    def disconnect(self) -> None:
        """Remove the pair, if it is there.

        Raises:
            OSError: the name is somebody else's.
        """
        found = self._own()
        if found is None:
            return
        try:
            self._namespaces.host.link("del", index=found["index"])
        except NetlinkError as error:
            if not core.not_found(error):
                raise

    def remove(self) -> None:
        """Remove the pair and the namespace, whose sockets are gone.

        Raises:
            OSError: the pair's name is somebody else's.
        """
        self.disconnect()
        if self._namespaces.exists(self._netns) and self._is_ours():
            self._namespaces.remove(self._netns)

    def _is_ours(self) -> bool:
        return self._namespaces.alias(self._netns) == self._alias

    def _own(self) -> Any:
        """Return br-int's end of the pair; None: it is not there.

        Raises:
            OSError: the name is somebody else's.
        """
        found = core.find_link(self._namespaces.host, marks.SERVICES)
        if found is not None and core.attribute(found, "IFLA_GROUP") != marks.LINK_GROUP:
            raise OSError(f"{marks.SERVICES} is not ours")
        return found

    def _prepare(self, sock: Any) -> None:
        """Give the other end its addresses and the way back."""
        index = sock.link("get", ifname=_INSIDE)[0]["index"]
        core.quiet_ipv6(_INSIDE)
        if self._checksums_off:
            core.ethtool_value(_INSIDE, core.ETHTOOL_STXCSUM, 0)
        sock.link("set", index=1, state="up")
        sock.link("set", index=index, state="up")
        for block in SERVERS4.values():  # each address of it is ours
            sock.route(
                "replace",  # it is the loopback's, and outlives an earlier pair
                dst=str(block),
                type="local",
                table=_LOCAL_TABLE,
                scope=_HOST_SCOPE,
                oif=1,
                proto=marks.PROTOCOL,
            )
        for address in SERVERS6.values():
            sock.addr("add", index=index, address=str(address), prefixlen=128, flags=_NODAD)
        mac = format_mac(GATEWAY_MAC)
        for family, hop, block in ((2, _HOPS[0], CLIENTS4), (10, _HOPS[1], CLIENTS6)):
            way = {"dst": str(block), "gateway": hop, "oif": index, "flags": _ONLINK}
            known = {"dst": hop, "lladdr": mac, "ifindex": index, "state": "permanent"}
            sock.neigh("add", family=family, **known)
            sock.route("add", family=family, **way)
