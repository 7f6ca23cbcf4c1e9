"""Everything changes under load: what is allowed goes on, what is not never gets through."""

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest

from tests.support import networks as n
from tests.support.networks import line
from tests.support.waiting import wait_until
from tests.traffic.site import Guest, Site
from tests.traffic.streams import Segments, Stream, connected, ends
from tests.traffic.tenancy import (
    TCP,
    UDP,
    Tenancy,
    block,
    everything,
    families,
    from_group,
    rule,
)
from tests.traffic.test_revoking import wake
from vpcctl.model.changes import Resource
from vpcctl.model.location import Location
from vpcctl.model.network_acl import AclRule
from vpcctl.model.security_group import AddressGroupRemote, Direction, Rule

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]
ALLOWED, DENIED, WEB = 53, 54, 80
SECONDS = 4.0
HOMES = {4: "10.0.1.0/24", 6: "fd00:1::/64"}
"""Blocks of the client's subnet."""


@dataclass
class Neighbour:
    """A guest that is plugged and unplugged.

    Attributes:
        at: number of its host.
        location: where it is; None: nowhere.
    """

    guest: Guest
    at: int
    location: Location | None


class Churn:
    """Random changes that leave one thing allowed and another one not.

    Attributes:
        done: how many changes were made.
        neighbours: who comes and goes on the hosts.
    """

    def __init__(self, tenancy: Tenancy, seed: int) -> None:
        self.done = 0
        self._tenancy = tenancy
        self._random = random.Random(seed)
        self.known = n.address_group(1 << 20 | tenancy.vpc.key, *HOMES.values())
        self.acl = tenancy.acl()
        self.clients = tenancy.group(*everything("egress"))
        self.strangers = tenancy.group(*everything("egress"))
        tenancy.site.change(self.known, self._acl())
        home = tenancy.subnets[1]
        tenancy.site.change(replace(home, acl_id=self.acl.id))
        self.servers = tenancy.group(*self._always(), *self._perhaps())
        self.others = [tenancy.group() for _ in range(2)]
        self.neighbours = list[Neighbour]()
        self.client: Guest
        self.server: Guest

    def _always(self) -> list[Rule]:
        """Rules that let the client in, by a group or by addresses, narrowly or not."""
        ranges = [(ALLOWED, ALLOWED), (1, ALLOWED), (40, ALLOWED)]
        found: list[Rule] = []
        for family in families():
            known = AddressGroupRemote(self.known.id)
            remotes = [from_group(self.clients), block(HOMES[family]), known, None]
            found += [
                rule("ingress", family, self._random.choice(remotes), protocol=UDP, ports=ports)
                for ports in self._random.sample(ranges, self._random.randint(1, 2))
            ]
            remote = self._random.choice(remotes)
            found.append(rule("ingress", family, remote, protocol=TCP, ports=(WEB, WEB)))
        return found

    def _perhaps(self) -> list[Rule]:
        """Rules that let somebody in where the client must not get."""
        stranger = from_group(self.strangers)
        possible = [
            rule("ingress", 4, block("10.0.1.128/25"), protocol=UDP, ports=(DENIED, 99)),
            rule("ingress", 4, block("10.0.2.0/24"), protocol=UDP),
            rule("ingress", 6, block("fd00:2::/64"), protocol=UDP),
            *(
                rule("ingress", family, *about, **what)
                for family in families()
                for about, what in (
                    ((stranger,), {"protocol": UDP, "ports": (DENIED, DENIED)}),
                    ((stranger,), {"protocol": UDP}),
                    ((stranger,), {}),
                    ((), {"protocol": UDP, "ports": (DENIED + 1, 99)}),
                )
            ),
        ]
        return self._random.sample(possible, self._random.randint(0, len(possible)))

    def _rules(self) -> Resource:
        rules = sorted((*self._always(), *self._perhaps()), key=lambda one: one.key)
        keeps = self._random.random() < 0.3
        self.servers = replace(self.servers, rules=tuple(rules), keep_established=keeps)
        return self.servers

    def _addresses(self) -> Resource:
        """The address group, which always has the client's."""
        others = ["10.9.0.0/16", "10.0.2.128/25", "fd00:9::/32", "fd00:1::8:0/112"]
        more = self._random.sample(others, self._random.randint(0, len(others)))
        cidrs = tuple(block(one) for one in sorted((*HOMES.values(), *more)))
        self.known = replace(self.known, cidrs=cidrs)
        return self.known

    def _acl(self) -> Resource:
        """The ACL of the server's subnet, which lets through what is allowed."""
        lines = list[AclRule]()
        for cidr in HOMES.values():
            passes: tuple[tuple[Direction, int, tuple[int, int]], ...] = (
                ("ingress", UDP, (40, ALLOWED)),
                ("ingress", TCP, (WEB, WEB)),
                ("egress", UDP, (4000, 4000)),
                ("egress", TCP, (1024, 65535)),
            )
            for way, protocol, ports in passes:
                number = 100 + len(lines)
                lines.append(line(number, way, "allow", cidr, protocol=protocol, ports=ports))
                verdict = self._random.choice(("allow", "deny"))
                lines.append(line(500 + len(lines), way, verdict, cidr))
                before = self._random.randint(1, 99)
                lines.append(line(before, way, "deny", cidr, protocol=UDP, ports=(55, 99)))
        numbers = {(one.direction, one.number): one for one in lines}
        return replace(self.acl, rules=tuple(numbers[key] for key in sorted(numbers)))

    def _member(self) -> Resource:
        """A port elsewhere that joins the clients or the strangers, or changes its address."""
        at = self._random.randint(100, 200)
        groups = self._random.sample((self.clients.id, self.strangers.id), 1)
        home = self._tenancy.subnets[0]
        key = 1 << 20 | self._tenancy.vpc.key << 8 | at
        mac = f"0e:00:00:01:00:{at:02x}"
        ips = (f"10.0.1.{at}", f"fd00:1::{at}")
        return n.port(key, home, mac, *ips, groups=tuple(groups))

    def _belongings(self) -> Resource:
        """The client or the server joins and leaves groups that say nothing of them."""
        guest, always = self._random.choice(
            [(self.client, self.clients), (self.server, self.servers)]
        )
        more = self._random.sample([one.id for one in self.others], self._random.randint(0, 2))
        return replace(guest.port, groups=tuple(sorted((always.id, *more))))

    def _other(self) -> Resource:
        rules = sorted(self._perhaps(), key=lambda one: one.key)
        stateful = self._random.random() < 0.5
        return replace(self._random.choice(self.others), rules=tuple(rules), stateful=stateful)

    def plug(self) -> None:
        """A neighbour comes, as whatever it is by then, or goes."""
        self.done += 1
        one = self._random.choice(self.neighbours)
        if one.location is not None:
            self._tenancy.site.unplug(one.at, one.guest, one.location)
            one.location = None
            return
        groups = (self.clients, self.strangers, self.servers, *self.others)
        chosen = self._random.sample([group.id for group in groups], self._random.randint(1, 3))
        port = replace(one.guest.port, groups=tuple(sorted(chosen)))
        one.guest = replace(one.guest, port=port)
        one.location = self._tenancy.site.place(one.at, one.guest)

    def step(self) -> None:
        """Change one or a few things at once; at times wait until it is done."""
        kinds: list[Callable[[], Resource]] = [
            *(self._rules, self._rules, self._member, self._belongings, self._other),
            *(self._addresses, self._acl),
        ]
        chosen = [self._random.choice(kinds)() for _ in range(self._random.randint(1, 3))]
        if self._random.random() < 0.1:
            self._tenancy.site.store.remove(self._member())
        self._tenancy.site.store.put(*{one.id: one for one in chosen}.values())  # type: ignore[union-attr]
        self.done += 1
        if self._random.random() < 0.3:
            self._tenancy.site.settle()
        else:
            self._tenancy.site.poke()


AT = pytest.mark.parametrize("at", [0, 1], ids=["same host, one subnet", "other host, routed"])


@AT
def test_no_change_opens_or_closes_a_moment(tenancy: Tenancy, at: int) -> None:
    churn = Churn(tenancy, seed=at)
    churn.client = tenancy.guest(0, churn.clients)
    churn.server = tenancy.guest(at, churn.servers, subnet=at)
    pair = churn.client, churn.server
    with ExitStack() as stack:
        passing, never = list[Stream](), list[Stream]()
        for family in families():
            allowed = ends(*pair, (4000, ALLOWED), family)
            denied = ends(*pair, (4000, DENIED), family)
            tcp = connected(*pair, WEB, family)
            for sock in (*allowed, *denied, *tcp):
                stack.callback(sock.close)
            passing += [Stream(*allowed), Stream(*reversed(allowed)), Segments(*tcp)]
            never.append(Stream(*denied))
        for stream in (*passing, *never):
            stack.enter_context(stream)
        for stream in passing:
            stream.flows()
        begin = time.monotonic()
        while time.monotonic() < begin + SECONDS:
            churn.step()
        end = time.monotonic()
        tenancy.site.settle()
        for stream in passing:
            stream.flows()
        assert churn.done > 10
        for stream in never:
            stream.is_silent()
        for stream in passing:
            assert not stream.record.lost(begin, end), stream


@AT
def test_ports_that_come_and_go_open_or_close_no_moment(tenancy: Tenancy, at: int) -> None:
    """Guests are plugged and unplugged on both hosts under the streams, while all else changes.

    A port that goes or comes costs other ports' packets on the userspace datapath, whatever the
    flows say (docs/performance.md). So what is allowed is not judged by what is lost but by what
    flows drop of it: its two ends talk about nothing else, so nothing may be counted for them in
    table Drop, and nothing on their hosts for which a flow was missing. What is denied goes between
    two others of the same groups, and is judged strictly.
    """
    site, churn = tenancy.site, Churn(tenancy, seed=2 + at)
    churn.client = tenancy.guest(0, churn.clients)
    churn.server = tenancy.guest(at, churn.servers, subnet=at)
    refused = tenancy.guest(0, churn.clients), tenancy.guest(at, churn.servers, subnet=at)
    for where in (0, 1):
        guest = tenancy.guest(where, churn.strangers)
        churn.neighbours.append(Neighbour(guest, where, site.location(guest)))
    pair = churn.client, churn.server
    with ExitStack() as stack:
        passing, never = list[Stream](), list[Stream]()
        for family in families():
            allowed = ends(*pair, (4000, ALLOWED), family)
            denied = ends(*refused, (4000, DENIED), family)
            tcp = connected(*pair, WEB, family)
            for sock in (*allowed, *denied, *tcp):
                stack.callback(sock.close)
            wake(*allowed)
            passing += [Stream(*allowed), Stream(*reversed(allowed)), Segments(*tcp)]
            never.append(Stream(*denied))
        for stream in (*passing, *never):
            stack.enter_context(stream)
        for stream in passing:
            stream.flows()
        before = drops(site, churn, at)
        begin = time.monotonic()
        while time.monotonic() < begin + SECONDS:
            churn.plug()
            churn.step()
        site.settle()
        for stream in passing:
            stream.flows()
        assert drops(site, churn, at) == before
        assert churn.done > 10
        for stream in never:
            stream.is_silent()
        stray = ends(*pair, (4001, DENIED))
        for sock in stray:
            stack.callback(sock.close)
        stray[0].send(b"would be seen")
        wait_until(lambda: drops(site, churn, at) != before, 10)


def drops(site: Site, churn: Churn, at: int) -> list[dict[str, int]]:
    """What has been dropped of the client's and of the server's, or led nowhere on their hosts."""
    return [site.drops(0, churn.client.port), site.drops(at, churn.server.port)]
