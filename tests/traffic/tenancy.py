"""A VPC on a site with its groups: what a test of traffic starts with."""

import ipaddress
import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.support import networks as n
from tests.traffic.site import Guest, Site
from vpcctl.model.network_acl import AclRule, NetworkAcl
from vpcctl.model.security_group import (
    AnyRemote,
    Direction,
    Family,
    GroupRemote,
    Remote,
    Rule,
    SecurityGroup,
)

_numbers = itertools.count(1)
TCP, UDP = 6, 17
PING = {4: (1, 8), 6: (58, 128)}


def rule(direction: Direction, family: Family = 4, remote: Remote | None = None, **of: Any) -> Rule:
    """A rule with a number of its own; without anything else it allows all of a family."""
    key = next(_numbers)
    return Rule(f"sgr-{key:017x}", key, direction, family, remote=remote or AnyRemote(), **of)


def everything(direction: Direction) -> tuple[Rule, ...]:
    """The rules that allow a direction all."""
    return rule(direction, 4), rule(direction, 6)


def numbered(first: SecurityGroup, *rules: Rule, **other: Any) -> SecurityGroup:
    """*first* with other rules."""
    in_order = tuple(sorted(rules, key=lambda one: one.key))
    return replace(first, rules=in_order, **other)


class Tenancy:
    """A VPC with two subnets and its groups, on a site.

    Attributes:
        site: the hosts.
        vpc: the VPC.
        subnets: its subnets.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        number = next(_numbers)
        self.vpc = n.vpc(number)
        self.subnets = [
            n.subnet(next(_numbers), self.vpc, f"10.0.{at}.0/24", f"fd00:{at}::/64")
            for at in (1, 2)
        ]
        self._next = 10
        site.change(self.vpc, *self.subnets)

    def group(self, *rules: Rule, **other: Any) -> SecurityGroup:
        """Make a group; it is there when this returns."""
        made = self.unborn(*rules, **other)
        self.site.change(made)
        return made

    def unborn(self, *rules: Rule, **other: Any) -> SecurityGroup:
        """A group that the hosts do not know yet."""
        key = next(_numbers)
        return SecurityGroup(f"sg-{key:017x}", self.vpc.id, key, rules, **other)

    def guest(self, at: int, *groups: SecurityGroup, subnet: int = 0, **other: Any) -> Guest:
        """Make a port in *groups* and attach a namespace to host *at*."""
        home = self.subnets[subnet]
        self._next += 1
        assert home.ipv6_cidr is not None
        ips = (str(home.cidr[self._next]), str(home.ipv6_cidr[self._next]))
        facts = {"groups": tuple(sorted(one.id for one in groups)), **other}
        port = n.port(next(_numbers), home, f"0e:00:00:00:00:{self._next:02x}", *ips, **facts)
        return self.site.guest(at, port, home)

    def acl(self, *rules: AclRule) -> NetworkAcl:
        """An ACL of the VPC."""
        key = next(_numbers)
        in_order = sorted(rules, key=lambda one: (one.direction, one.number))
        return NetworkAcl(f"nacl-{key:017x}", self.vpc.id, key, tuple(in_order))


def from_group(group: SecurityGroup) -> GroupRemote:
    return GroupRemote(group.id)


def block(text: str) -> Any:
    return ipaddress.ip_network(text)


def families() -> Iterator[Family]:
    yield 4
    yield 6
