"""Everything changes under load: what is allowed goes on, what is not never gets through."""

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tests.support import networks as n
from tests.traffic.site import Guest
from tests.traffic.streams import Segments, Stream, connected, ends
from tests.traffic.tenancy import TCP, UDP, Tenancy, block, everything, from_group, rule
from vpcctl.model.changes import Resource
from vpcctl.model.security_group import Rule

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]
ALLOWED, DENIED, WEB = 53, 54, 80


class Churn:
    """Random changes that leave one thing allowed and another one not.

    Attributes:
        done: how many changes were made.
    """

    def __init__(self, tenancy: Tenancy, seed: int) -> None:
        self.done = 0
        self._tenancy = tenancy
        self._random = random.Random(seed)
        self.clients = tenancy.group(*everything("egress"))
        self.strangers = tenancy.group(*everything("egress"))
        self.servers = tenancy.group(*self._always(), *self._perhaps())
        self.others = [tenancy.group() for _ in range(2)]
        self.client: Guest
        self.server: Guest

    def _always(self) -> list[Rule]:
        """Rules that let the client in, by a group or by addresses, narrowly or not."""
        remotes = [from_group(self.clients), block("10.0.1.0/24"), None]
        ranges = [(ALLOWED, ALLOWED), (1, ALLOWED), (40, ALLOWED)]
        udp = [
            rule("ingress", 4, self._random.choice(remotes), protocol=UDP, ports=ports)
            for ports in self._random.sample(ranges, self._random.randint(1, 2))
        ]
        return [
            *udp,
            rule("ingress", 4, self._random.choice(remotes), protocol=TCP, ports=(80, 80)),
        ]

    def _perhaps(self) -> list[Rule]:
        """Rules that let somebody in where the client must not get."""
        stranger = from_group(self.strangers)
        possible = [
            rule("ingress", 4, stranger, protocol=UDP, ports=(DENIED, DENIED)),
            rule("ingress", 4, stranger, protocol=UDP),
            rule("ingress", 4, block("10.0.2.0/24"), protocol=UDP),
            rule("ingress", 4, block("10.0.1.128/25"), protocol=UDP, ports=(DENIED, 99)),
            rule("ingress", 4, protocol=UDP, ports=(DENIED + 1, 99)),
            rule("ingress", 4, stranger),
            rule("ingress", 6, protocol=UDP),
        ]
        return self._random.sample(possible, self._random.randint(0, len(possible)))

    def _rules(self) -> Resource:
        rules = sorted((*self._always(), *self._perhaps()), key=lambda one: one.key)
        keeps = self._random.random() < 0.3
        self.servers = replace(self.servers, rules=tuple(rules), keep_established=keeps)
        return self.servers

    def _member(self) -> Resource:
        """A port elsewhere that joins the clients or the strangers, or changes its address."""
        at = self._random.randint(100, 200)
        groups = self._random.sample((self.clients.id, self.strangers.id), 1)
        home = self._tenancy.subnets[0]
        key = 1 << 20 | self._tenancy.vpc.key << 8 | at
        mac = f"0e:00:00:01:00:{at:02x}"
        return n.port(key, home, mac, f"10.0.1.{at}", groups=tuple(groups))

    def _belongings(self) -> Resource:
        """The client or the server joins and leaves groups that say nothing of them."""
        guest, always = self._random.choice(
            [(self.client, self.clients), (self.server, self.servers)]
        )
        more = self._random.sample([one.id for one in self.others], self._random.randint(0, 2))
        return replace(guest.port, groups=tuple(sorted((always.id, *more))))

    def _other(self) -> Resource:
        rules = sorted(self._perhaps(), key=lambda one: one.key)
        return replace(self._random.choice(self.others), rules=tuple(rules))

    def step(self) -> None:
        """Change one or a few things at once; at times wait until it is done."""
        kinds: list[Callable[[], Resource]] = [
            *(self._rules, self._rules, self._member, self._belongings, self._other),
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


@pytest.mark.parametrize(("seconds", "at"), [(4.0, 0), (4.0, 1)], ids=["same host", "other host"])
def test_no_change_opens_or_closes_a_moment(tenancy: Tenancy, seconds: float, at: int) -> None:
    churn = Churn(tenancy, seed=at)
    churn.client = tenancy.guest(0, churn.clients)
    churn.server = tenancy.guest(at, churn.servers)
    with ExitStack() as stack:
        allowed = ends(churn.client, churn.server, (4000, ALLOWED))
        denied = ends(churn.client, churn.server, (4000, DENIED))
        tcp = connected(churn.client, churn.server, WEB)
        for sock in (*allowed, *denied, *tcp):
            stack.callback(sock.close)
        there = stack.enter_context(Stream(*allowed))
        back = stack.enter_context(Stream(*reversed(allowed)))
        web = stack.enter_context(Segments(*tcp))
        never = stack.enter_context(Stream(*denied))
        for stream in (there, back, web):
            stream.flows()
        begin = time.monotonic()
        while time.monotonic() < begin + seconds:
            churn.step()
        end = time.monotonic()
        tenancy.site.settle()
        for stream in (there, back, web):
            stream.flows()
        assert churn.done > 10
        never.is_silent()
        assert not there.record.lost(begin, end)
        assert not back.record.lost(begin, end)
