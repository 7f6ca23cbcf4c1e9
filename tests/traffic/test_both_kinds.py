"""Ports with stateful and stateless groups, and what is counted where they change.

In a module, so with switches, of its own: fragments that other tests leave are given up after 15 s,
and count as invalid with whatever port sends then.
"""

import socket
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import replace

import pytest

from tests.support.waiting import wait_until
from tests.traffic.streams import QUIET_S, Stream, connected, ends
from tests.traffic.tenancy import TCP, UDP, Tenancy, everything, rule
from vpcctl.model.changes import Resource
from vpcctl.model.security_group import Family, Rule

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("family", [4, 6])
def test_both_kinds_of_groups_let_in_connections(tenancy: Tenancy, family: Family) -> None:
    """One group lets in what another one lets the answers of out, or itself."""

    def port(number: int) -> Rule:
        return rule("ingress", family, protocol=TCP, ports=(number, number))

    clients = tenancy.group(*everything("egress"))
    out, https = tenancy.group(*everything("egress")), tenancy.group(port(443), stateful=False)
    http, free = tenancy.group(port(80)), tenancy.group(*everything("egress"), stateful=False)
    client = tenancy.guest(0, clients)
    for groups, number in (((out, https), 443), ((http, free), 80)):
        server = tenancy.guest(1, *groups)
        one, other = connected(client, server, number, family)
        with one, other:
            assert uploaded(one, other, 8 << 20) == 8 << 20
            assert uploaded(other, one, 8 << 20) == 8 << 20
            # Before they end: what comes to a socket that is closed is answered as nobody's.
            drops = tenancy.site.drops(1, server.port)
        assert not {why: n for why, n in drops.items() if n and why.endswith(("denied", "invalid"))}


def uploaded(source: socket.socket, target: socket.socket, size: int) -> int:
    """Send *size* bytes; return how many come before the other side waits for a second."""
    source.settimeout(10)
    target.settimeout(10)

    def send() -> None:
        with suppress(OSError):
            source.sendall(bytes(size))

    threading.Thread(target=send, daemon=True).start()
    came = 0
    with suppress(TimeoutError):
        while came < size:
            came += len(target.recv(1 << 16))
    return came


@pytest.mark.parametrize("kind", ["flag", "other group", "one more"])
def test_going_stateless_and_back_counts_no_drop(tenancy: Tenancy, kind: str) -> None:
    """What was tracked is counted late, and by the flows that there are by then."""
    clients = tenancy.group(*everything("egress"))
    servers = tenancy.group(rule("ingress", 4, protocol=UDP, ports=(53, 53)), *everything("egress"))
    free = tenancy.group(*everything("ingress"), *everything("egress"), stateful=False)
    client, server = tenancy.guest(0, clients), tenancy.guest(1, servers)
    both = tuple(sorted((servers.id, free.id)))
    there: Resource = {
        "flag": replace(servers, stateful=False),
        "other group": replace(server.port, groups=(free.id,)),
        "one more": replace(server.port, groups=both),
    }[kind]
    pair = ends(client, server, (4000, 53))
    with pair[0], pair[1]:
        streams = [Stream(*pair), Stream(*reversed(pair))]
        with ExitStack() as stack:
            for stream in streams:
                stack.enter_context(stream)
                stream.flows()
            start = time.monotonic()
            for resource in (there, servers if kind == "flag" else server.port) * 3:
                tenancy.site.change(resource)
                for stream in streams:
                    stream.flows()
            end = time.monotonic() - QUIET_S
            wait_until(
                lambda: not any(s.record.lost(start, end) for s in streams), 5, "all has come"
            )
        # Before they are closed: what comes then is answered by ICMP errors of nobody's.
        drops = tenancy.site.drops(1, server.port)
    assert not any(drops.values()), drops
