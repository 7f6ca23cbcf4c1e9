"""One namespace attachment: what is wanted and what is there → ordered steps.

The order: namespace, pair, marks, guest's addresses, link up, routes. A step that is not needed
is not in the plan, so a plan for something that is as it should be is empty.
"""

import ipaddress
import re
from dataclasses import dataclass

from agent.decide import marks
from agent.wire.state import Attachment

Address = tuple[str, int]
"""An address with its prefix length, such as ``("10.0.0.4", 24)``."""

_INTERFACE = re.compile(r"[^\s/:]{1,15}")
_NETNS = re.compile(r"[^/\0]{1,255}")
_MIN_MTU, _MAX_MTU, _MIN_IPV6_MTU = 68, 65535, 1280


@dataclass(frozen=True, slots=True)
class HostEnd:
    """The device that has the host end's name.

    Attributes:
        index: interface index.
        kind: ``veth`` and so on; ``""`` for hardware.
        group: link group.
        alias: its alias, or None.
        mtu: bytes.
        up: administrative state.
    """

    index: int
    kind: str
    group: int
    alias: str | None
    mtu: int
    up: bool

    def is_ours(self, port_id: str) -> bool:
        """Tell whether we made it for this port: our group, and our alias or not yet any."""
        if self.kind != "veth" or self.group != marks.LINK_GROUP:
            return False
        return self.alias is None or marks.port_of_alias(self.alias) == port_id


@dataclass(frozen=True, slots=True)
class GuestEnd:
    """The device of the wanted name inside the namespace.

    Attributes:
        index: interface index in the namespace.
        peer: index of the other end of a veth pair, or None.
        alias: its alias, or None.
        mac: its MAC.
        mtu: bytes.
        up: administrative state.
        addresses: those that carry our protocol number.
        other_addresses: the others.
        gateways: default routes through it with our protocol number.
    """

    index: int
    peer: int | None
    alias: str | None
    mac: str
    mtu: int
    up: bool
    addresses: frozenset[Address] = frozenset()
    other_addresses: frozenset[Address] = frozenset()
    gateways: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Facts:
    """What is there.

    Attributes:
        host: device with the host end's name, or None.
        netns_exists: the namespace exists.
        guest: device with the guest end's name in it, or None.
        netns_in_use: no agent made the namespace, and devices of others are in it.
    """

    host: HostEnd | None
    netns_exists: bool
    guest: GuestEnd | None
    netns_in_use: bool = False


@dataclass(frozen=True, slots=True)
class MakeNamespace:
    """Make a network namespace with our mark."""

    netns: str


@dataclass(frozen=True, slots=True)
class DeleteLink:
    """Delete a link of ours on the host (its other end goes with it)."""

    name: str


@dataclass(frozen=True, slots=True)
class MakePair:
    """Make a veth pair with one end in the namespace, and mark both ends."""

    name: str
    port_id: str
    netns: str
    guest: str
    mac: str
    mtu: int


@dataclass(frozen=True, slots=True)
class SetHostEnd:
    """Set alias, MTU and administrative state of the host end."""

    name: str
    alias: str
    mtu: int
    up: bool


@dataclass(frozen=True, slots=True)
class SetGuestEnd:
    """Set alias, MAC and MTU of the guest end, and bring it up."""

    netns: str
    name: str
    alias: str
    mac: str
    mtu: int


@dataclass(frozen=True, slots=True)
class SetAddresses:
    """Add, then remove addresses of the guest end, and set default routes likewise."""

    netns: str
    name: str
    remove: tuple[Address, ...]
    add: tuple[Address, ...]
    remove_gateways: tuple[str, ...]
    add_gateways: tuple[str, ...]


Step = MakeNamespace | DeleteLink | MakePair | SetHostEnd | SetGuestEnd | SetAddresses


class Unfit(ValueError):
    """An attachment cannot be made as it is asked for; the text says why."""


def check(wanted: Attachment) -> str:
    """Return the namespace of an attachment whose values the kernel would take.

    Raises:
        Unfit: a name, MAC, MTU or address cannot be used.
    """
    netns = wanted.netns
    if netns is None or not _NETNS.fullmatch(netns) or netns in (".", ".."):
        raise Unfit(f"{netns!r} cannot be the name of a network namespace")
    if not _INTERFACE.fullmatch(wanted.interface) or wanted.interface in (".", "..", "lo"):
        raise Unfit(f"{wanted.interface!r} cannot be the name of an interface")
    families = {ipaddress.ip_address(each.address).version for each in wanted.addresses}
    least = _MIN_IPV6_MTU if 6 in families else _MIN_MTU
    if not least <= wanted.mtu <= _MAX_MTU:
        raise Unfit(f"MTU {wanted.mtu} is not within {least} … {_MAX_MTU}")
    return netns


def _addresses(wanted: Attachment) -> frozenset[Address]:
    return frozenset(
        (str(ipaddress.ip_address(each.address)), each.prefix_length) for each in wanted.addresses
    )


def _gateways(wanted: Attachment) -> frozenset[str]:
    """One default route a family: through the first gateway given for it."""
    first: dict[int, str] = {}
    for each in wanted.addresses:
        if each.gateway is not None:
            gateway = ipaddress.ip_address(each.gateway)
            first.setdefault(gateway.version, str(gateway))
    return frozenset(first.values())


def _pair_stands(wanted: Attachment, facts: Facts) -> bool:
    """Tell whether host end and guest end are the two ends of our pair."""
    host, guest = facts.host, facts.guest
    if host is None or guest is None or not host.is_ours(wanted.port_id):
        return False
    return guest.peer == host.index


def _clear_the_way(wanted: Attachment, facts: Facts, name: str) -> list[Step]:
    """Return steps that make room for a new pair, or raise when somebody else has the names."""
    host = facts.host
    if host is not None and not host.is_ours(wanted.port_id):
        raise Unfit(f"interface name {name} is taken on the host by a device that is not ours")
    if facts.guest is not None and marks.port_of_alias(facts.guest.alias) != wanted.port_id:
        raise Unfit(f"interface {wanted.interface} exists already in namespace {wanted.netns}")
    if facts.netns_in_use:
        # Whoever may attach a port names the namespace: it must not be the way into another's.
        raise Unfit(f"namespace {wanted.netns} is somebody else's: it has devices of theirs")
    return [DeleteLink(name)] if host is not None else []


def _pair_steps(wanted: Attachment, facts: Facts, netns: str) -> list[Step]:
    """Return the steps up to a marked pair whose host end is as it should be."""
    name = marks.host_end(wanted.port_id)
    alias = marks.link_alias(wanted.port_id)
    steps: list[Step] = []
    stands = _pair_stands(wanted, facts)
    if not stands:
        steps += _clear_the_way(wanted, facts, name)
        if not facts.netns_exists:
            steps.append(MakeNamespace(netns))
        mac = wanted.mac.lower()
        steps.append(MakePair(name, wanted.port_id, netns, wanted.interface, mac, wanted.mtu))
    host = facts.host if stands else None
    if host is None or (host.alias, host.mtu, host.up) != (alias, wanted.mtu, wanted.admin_up):
        steps.append(SetHostEnd(name, alias, wanted.mtu, wanted.admin_up))
    return steps


def _guest_steps(wanted: Attachment, guest: GuestEnd | None, netns: str) -> list[Step]:
    """Return the steps that give the guest end its MAC, MTU, addresses and routes."""
    alias, mac = marks.link_alias(wanted.port_id), wanted.mac.lower()
    fresh = guest is None
    changes_mac = guest is not None and guest.mac != mac
    steps: list[Step] = []
    if guest is None or (guest.alias, guest.mac, guest.mtu, guest.up) != (
        alias,
        mac,
        wanted.mtu,
        True,
    ):
        steps.append(SetGuestEnd(netns, wanted.interface, alias, mac, wanted.mtu))
    have = guest.addresses if guest else frozenset[Address]()
    others = guest.other_addresses if guest else frozenset[Address]()
    gateways = guest.gateways if guest else frozenset[str]()
    add = _addresses(wanted) - have - others
    remove = have - _addresses(wanted)
    add_gateways, remove_gateways = _gateways(wanted) - gateways, gateways - _gateways(wanted)
    if (guest is not None and not guest.up) or changes_mac or remove:
        # The kernel drops routes with the address or the link that they rest on.
        add, add_gateways = _addresses(wanted) - others, _gateways(wanted)
    if add or remove or add_gateways or remove_gateways or fresh:
        steps.append(
            SetAddresses(
                netns,
                wanted.interface,
                tuple(sorted(remove)),
                tuple(sorted(add)),
                tuple(sorted(remove_gateways)),
                tuple(sorted(add_gateways)),
            )
        )
    return steps


def plan(wanted: Attachment, facts: Facts) -> tuple[Step, ...]:
    """Return the steps from the facts to the wanted attachment; none when all is well.

    Raises:
        Unfit: it cannot be made as it is asked for, or somebody else's device is in the way.
    """
    netns = check(wanted)
    stands = _pair_stands(wanted, facts)
    guest = facts.guest if stands else None
    return (*_pair_steps(wanted, facts, netns), *_guest_steps(wanted, guest, netns))
