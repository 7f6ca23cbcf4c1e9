"""Reads the facts of namespace attachments and carries out their plans."""

import ipaddress
from collections.abc import Iterable
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError

from agent.decide import attachment as decide
from agent.decide import marks
from agent.netlink import core
from agent.wire.state import Attachment

_NODAD = 0x02
_IGNORED = frozenset(
    {"lo", "sit0", "tunl0", "gre0", "gretap0", "erspan0"}
    | {"ip6tnl0", "ip6gre0", "ip_vti0", "ip6_vti0"}
)
"""Devices that the kernel puts into every namespace."""
_ROUTE_METRIC = 1000


class AttachmentDriver:
    """Namespaces and veth pairs of this host. Belongs to the worker thread.

    Args:
        namespaces: the host's namespaces.
        owner: host id that marks what we make.
        checksums_off: switch off transmit checksum offload in guests, which the userspace
            datapath needs: it reads frames whose checksums nobody has filled in.
    """

    def __init__(self, namespaces: core.Namespaces, owner: str, *, checksums_off: bool) -> None:
        self._namespaces = namespaces
        self._owner = owner
        self._checksums_off = checksums_off

    def converge(self, wanted: Attachment) -> bool:
        """Make an attachment as it is wanted.

        Returns:
            Whether anything had to be done.

        Raises:
            decide.Unfit: it cannot be made as asked for.
            OSError, NetlinkError: the kernel refused a step.
        """
        steps = decide.plan(wanted, self.read(wanted))
        for step in steps:
            self._carry_out(step)
        return bool(steps)

    def read(self, wanted: Attachment) -> decide.Facts:
        """Return what is there of an attachment."""
        netns = decide.check(wanted)
        host = self._read_host(marks.host_end(wanted.port_id))
        if not self._namespaces.exists(netns):
            return decide.Facts(host, netns_exists=False, guest=None)
        with self._namespaces.inside(netns) as sock:
            guest = _read_guest(sock, wanted.interface)
            in_use = (host is None or guest is None) and _is_in_use(sock)
            return decide.Facts(host, netns_exists=True, guest=guest, netns_in_use=in_use)

    def ours(self) -> dict[str, str]:
        """Return port id → host end's name of every pair of ours on the host."""
        found: dict[str, str] = {}
        for link in self._namespaces.host.get_links():
            name = core.attribute(link, "IFLA_IFNAME")
            if core.attribute(link, "IFLA_GROUP") != marks.LINK_GROUP:
                continue
            port_id = marks.port_of_alias(core.attribute(link, "IFLA_IFALIAS"))
            if port_id is not None and name == marks.host_end(port_id):
                found[port_id] = name
        return found

    def delete_half_made(self) -> None:
        """Delete pairs that were made but not marked with a port.

        In one go: between a look and a later deletion one could have been finished.
        """
        for link in self._namespaces.host.get_links():
            group = core.attribute(link, "IFLA_GROUP")
            if group == marks.LINK_GROUP and not core.attribute(link, "IFLA_IFALIAS"):
                self.delete_link(core.attribute(link, "IFLA_IFNAME"))

    def delete_link(self, name: str) -> None:
        """Delete a link of ours on the host; one that is gone, or not ours, is left alone."""
        host = self._read_host(name)
        if host is None or host.kind != "veth" or host.group != marks.LINK_GROUP:
            return
        try:
            self._namespaces.host.link("del", index=host.index)
        except NetlinkError as error:
            if not core.not_found(error):
                raise

    def our_namespaces(self) -> list[str]:
        """Return the names of the namespaces that carry our mark; half-made ones are removed."""
        self._namespaces.remove_bare(marks.netns_alias(self._owner))
        return [name for name in self._namespaces.names() if self._is_ours(name)]

    def release_namespace(self, netns: str) -> bool:
        """Remove a namespace of ours in which nothing is left.

        Returns:
            False when it still holds a device or a process and has to be asked about again.
        """
        if not self._namespaces.exists(netns) or not self._is_ours(netns):
            return True
        with self._namespaces.inside(netns) as sock:
            names = {core.attribute(link, "IFLA_IFNAME") for link in sock.get_links()}
        if names - _IGNORED or self._namespaces.has_processes(netns):
            return False
        self._namespaces.remove(netns)
        return True

    def _is_ours(self, netns: str) -> bool:
        try:
            return self._namespaces.alias(netns) == marks.netns_alias(self._owner)
        except OSError:
            return False

    def _read_host(self, name: str) -> decide.HostEnd | None:
        link = core.find_link(self._namespaces.host, name)
        if link is None:
            return None
        return decide.HostEnd(
            index=link["index"],
            kind=_kind(link),
            group=core.attribute(link, "IFLA_GROUP") or 0,
            alias=core.attribute(link, "IFLA_IFALIAS"),
            mtu=core.attribute(link, "IFLA_MTU"),
            up=bool(link["flags"] & 1),
        )

    def _carry_out(self, step: decide.Step) -> None:
        match step:
            case decide.MakeNamespace():
                self._namespaces.make(step.netns, marks.netns_alias(self._owner))
            case decide.DeleteLink():
                self.delete_link(step.name)
            case decide.MakePair():
                self._make_pair(step)
            case decide.SetHostEnd():
                self._set_host_end(step)
            case decide.SetGuestEnd():
                self._set_guest_end(step)
            case decide.SetAddresses():
                self._set_addresses(step)

    def _make_pair(self, step: decide.MakePair) -> None:
        with self._namespaces.path(step.netns).open("rb") as netns:
            self._namespaces.host.link(
                "add",
                ifname=step.name,
                kind="veth",
                group=marks.LINK_GROUP,
                mtu=step.mtu,
                peer={
                    "ifname": step.guest,
                    "address": step.mac,
                    "mtu": step.mtu,
                    "net_ns_fd": netns.fileno(),
                },
            )

    def _set_host_end(self, step: decide.SetHostEnd) -> None:
        link = core.find_link(self._namespaces.host, step.name)
        if link is not None:
            core.shut_out_kernel(step.name, shut=True)
            state = "up" if step.up else "down"
            self._namespaces.host.link(
                "set", index=link["index"], ifalias=step.alias, mtu=step.mtu, state=state
            )

    def _set_guest_end(self, step: decide.SetGuestEnd) -> None:
        with self._namespaces.inside(step.netns) as sock:
            link = core.find_link(sock, step.name)
            if link is None:
                raise OSError(f"interface {step.name} is gone from namespace {step.netns}")
            core.quiet_ipv6(step.name)
            core.keep_secondaries(step.name)
            if self._checksums_off:
                core.ethtool_value(step.name, core.ETHTOOL_STXCSUM, 0)
            values = {"ifalias": step.alias, "mtu": step.mtu, "state": "up"}
            if core.attribute(link, "IFLA_ADDRESS") != step.mac:
                values["address"] = step.mac
            sock.link("set", index=link["index"], **values)

    def _set_addresses(self, step: decide.SetAddresses) -> None:
        with self._namespaces.inside(step.netns) as sock:
            link = core.find_link(sock, step.name)
            if link is None:
                raise OSError(f"interface {step.name} is gone from namespace {step.netns}")
            index = link["index"]
            _remove_gateways(sock, index, step.remove_gateways)
            for address, length in step.add:
                _add_address(sock, index, address, length)
            for address, length in step.remove:
                _tolerate(sock.addr, "del", index=index, address=address, prefixlen=length)
            for gateway in step.add_gateways:
                _add_gateway(sock, index, gateway)


def _tolerate(call: Any, *args: Any, **kwargs: Any) -> None:
    """Call the kernel; that a thing to be removed is gone already is fine."""
    try:
        call(*args, **kwargs)
    except NetlinkError as error:
        if not core.not_found(error):
            raise


def _add_address(sock: Any, index: int, address: str, length: int) -> None:
    extra = {"flags": _NODAD} if ":" in address else {}
    sock.addr(
        "replace", index=index, address=address, prefixlen=length, proto=marks.PROTOCOL, **extra
    )


def _default(gateway: str) -> dict[str, Any]:
    version = ipaddress.ip_address(gateway).version
    family, dst = (2, "0.0.0.0/0") if version == 4 else (10, "::/0")
    return {"family": family, "dst": dst, "gateway": gateway, "proto": marks.PROTOCOL}


def _add_gateway(sock: Any, index: int, gateway: str) -> None:
    """Add a default route; the metric keeps two interfaces of one namespace apart."""
    metric = _ROUTE_METRIC + index
    sock.route("replace", oif=index, priority=metric, **_default(gateway))


def _remove_gateways(sock: Any, index: int, gateways: Iterable[str]) -> None:
    for gateway in gateways:
        metric = _ROUTE_METRIC + index
        _tolerate(sock.route, "del", oif=index, priority=metric, **_default(gateway))


def _is_in_use(sock: Any) -> bool:
    """Tell whether a namespace that no agent made has devices of somebody else."""
    aliases = {
        core.attribute(link, "IFLA_IFNAME"): core.attribute(link, "IFLA_IFALIAS")
        for link in sock.get_links()
    }
    if marks.is_made_for_guests(aliases.get("lo")):
        return False
    others = (alias for name, alias in aliases.items() if name not in _IGNORED)
    return any(marks.port_of_alias(alias) is None for alias in others)


def _kind(link: Any) -> str:
    info = core.attribute(link, "IFLA_LINKINFO")
    return (info.get_attr("IFLA_INFO_KIND") or "") if info is not None else ""


def _read_guest(sock: Any, name: str) -> decide.GuestEnd | None:
    link = core.find_link(sock, name)
    if link is None:
        return None
    index = link["index"]
    ours: set[decide.Address] = set()
    others: set[decide.Address] = set()
    for message in sock.get_addr(index=index):
        address = core.attribute(message, "IFA_LOCAL") or core.attribute(message, "IFA_ADDRESS")
        mine = core.attribute(message, "IFA_PROTO") == marks.PROTOCOL
        (ours if mine else others).add((address, message["prefixlen"]))
    return decide.GuestEnd(
        index=index,
        peer=core.attribute(link, "IFLA_LINK"),
        alias=core.attribute(link, "IFLA_IFALIAS"),
        mac=core.attribute(link, "IFLA_ADDRESS"),
        mtu=core.attribute(link, "IFLA_MTU"),
        up=bool(link["flags"] & 1),
        addresses=frozenset(ours),
        other_addresses=frozenset(others),
        gateways=_read_gateways(sock, index),
    )


def _read_gateways(sock: Any, index: int) -> frozenset[str]:
    found: set[str] = set()
    for family in (2, 10):
        for route in sock.get_routes(family=family, table=254):
            ours = route["proto"] == marks.PROTOCOL and not route["dst_len"]
            if ours and core.attribute(route, "RTA_OIF") == index:
                found.add(core.attribute(route, "RTA_GATEWAY"))
    return frozenset(found)
