"""How things on a host say that they are ours (see docs/ownership.md)."""

import hashlib

from vpcctl.model import ids

OWNER_KEY = "vpcctl-owner"
"""Key in ``external_ids`` of every OVSDB row that we made; the value is the host id."""

CREATED_KEY = "vpcctl-created"
"""Key on a bridge that we created (and did not find), so that ``clean`` may delete it."""

NAMED_KEY = "vpcctl-named"
"""Key on an interface that others plugged and that got its iface-id from us: the host id when the
host state asked for it, :func:`by_hand` of it when a person did."""

UNDERLAY_KEY = "vpcctl-underlay"
"""Key on br-underlay: the addresses and routes that it took over, as JSON."""

LINK_GROUP = 0x7663
"""Group of the host end of every veth pair that we made: set in the message that makes it."""

COOKIE_OWNER = 0x7663
"""Upper 16 bits of the cookies of all flows that the controller makes."""

PROTOCOL = 0x76
"""Protocol number of the addresses and routes that we set in namespaces."""

NETWORK_KEY = "vpcctl-network"
"""Key on both interfaces of a patch-port pair to an external network: the network's id."""

PROVIDER_KEY = "vpcctl-provider"
"""Key on a bridge that we made for a device of a provider network: the device's name."""

WATCH_KEY = "vpcctl-watch"
"""Key on an interface on which BFD watches another host: that host's id."""

PAIR_PREFIX = "vp"
"""How the names of host ends begin. A name alone proves nothing: see the group and the alias."""

TUNNEL = "vpcctl-vxlan"
"""Name of the VXLAN port on br-int."""

GUESTS = "vpcctl-guests"
"""Name of the internal port of br-int through which the agent answers guests."""

STANDS = "vpcctl-stands"
"""Name of the internal port of br-int that is up while this host may be the active gateway host."""

_HASH_LENGTH = 13  # names of devices have at most 15 characters
SERVICES = "vpcctl-services"
"""Name of br-int's end of the pair that leads to the sockets for names and metadata."""

SERVICES_ALIAS = "vpcctl:services"
"""Alias of that end: with the group it says that the pair is ours."""

_ALIAS = "vpcctl:"
_NETNS_ALIAS = "vpcctl:netns:"


def services_netns(owner: str) -> str:
    """Return the name of the namespace of a host's sockets for names and metadata."""
    return f"{SERVICES}-{_hash(owner)}"


def services_netns_alias(owner: str) -> str:
    """Return the alias of that namespace's ``lo``."""
    return f"{SERVICES_ALIAS}:{owner}"


def by_hand(owner: str) -> str:
    """Return the value of NAMED_KEY for an iface-id that a person set with ``vpc-agent plug``."""
    return f"{owner}/by-hand"


def host_end(port_id: str) -> str:
    """Return the name of the host end of the veth pair of a port (15 characters)."""
    return PAIR_PREFIX + _hash(port_id)


def patch_inside(network_id: str) -> str:
    """Return the name of br-int's port to an external network (15 characters)."""
    return "vo" + _hash(network_id)


def patch_outside(network_id: str) -> str:
    """Return the name of its peer on the provider's bridge (15 characters)."""
    return "vx" + _hash(network_id)


def provider_bridge(device: str) -> str:
    """Return the name of the bridge that a device of a provider network is put into."""
    return "br-" + _hash(device)[:9]


def watch_port(host_id: str) -> str:
    """Return the name of the port on which BFD watches another host (15 characters)."""
    return "vw" + _hash(host_id)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]


def link_alias(port_id: str) -> str:
    """Return the alias that both ends of a port's veth pair carry."""
    return _ALIAS + port_id


def port_of_alias(alias: str | None) -> str | None:
    """Return the port id that an alias names, or None when it is not one of ours."""
    if alias is None or not alias.startswith(_ALIAS):
        return None
    port_id = alias.removeprefix(_ALIAS)
    return port_id if ids.is_id("port", port_id) else None


def is_made_for_guests(alias: str | None) -> bool:
    """Tell whether the alias of ``lo`` says that an agent made the network namespace."""
    return alias is not None and alias.startswith(_NETNS_ALIAS)


def netns_alias(owner: str) -> str:
    """Return the alias of ``lo`` in a network namespace that the agent of *owner* made."""
    return _NETNS_ALIAS + owner
