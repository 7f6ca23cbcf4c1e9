"""Cookies of flows: 16 bits owner mark, 8 bits feature, 8 bits reserved, 32 bits object key.

The mark says that a flow is ours, and nothing without it is ever touched; feature and key lead
from any flow on a switch back to the object that it exists for.
"""

import enum
from typing import NamedTuple

OWNER = 0x7663
OWNER_COOKIE = OWNER << 48
OWNER_MASK = 0xFFFF << 48
"""Match a cookie against ``OWNER_COOKIE`` under this mask to find our flows."""

LEARNED_COOKIE = 0x766C << 48
"""Of flows that flows learn: not ours to compare with the program, or to delete."""


class Feature(enum.IntEnum):
    """Which part of the program a flow belongs to; says what the object key is."""

    BASE = 1
    """The same on every host; key 0."""
    PEER = 2
    """Another host's VTEP; key of the host."""
    VPC = 3
    """A VPC's own blocks, and what it needs while a host is loading it; key of the VPC."""
    SUBNET = 4
    """A subnet's domain; its VNI."""
    PORT = 5
    """A port, as all hosts see it; key of the port."""
    EDGE = 6
    """A port, on its own host; key of the port."""
    FLOOD = 7
    """A subnet's copies; its VNI."""
    PAIR = 8
    """An address or MAC that ports of a subnet share by allowed pairs; its VNI."""
    GROUP = 9
    """A security group, where no single rule decides; key of the group."""
    RULE = 10
    """A rule of a security group, what it allows; key of the rule."""
    MEMBER = 11
    """An address that remote sides of rules hold; key of the VPC."""
    ACL = 12
    """A network ACL's rules; key of the ACL."""
    ROUTES = 13
    """A route table's routes; key of the table."""
    GATEWAY = 14
    """An internet or NAT gateway; its VNI."""
    EIP = 15
    """An EIP, where it is resident; its key."""
    OUTSIDE = 16
    """An external network, on a host that reaches it; key of the network."""
    GLOBAL = 17
    """A port's global IPv6 addresses, where they are resident; key of the port."""
    EXHAUSTED = 18
    """What a NAT gateway finds no port for; its VNI. Flows that are there to be counted."""


class CookieParts(NamedTuple):
    """What a cookie says."""

    feature: int
    key: int


def cookie(feature: Feature, key: int = 0) -> int:
    """Return the cookie of *feature*'s object *key*."""
    return OWNER_COOKIE | feature << 40 | key


def is_ours(value: int) -> bool:
    """Tell whether a flow with this cookie belongs to us."""
    return value >> 48 == OWNER


def split(value: int) -> CookieParts:
    """Return feature and key of one of our cookies."""
    return CookieParts(value >> 40 & 0xFF, value & 0xFFFF_FFFF)
