"""Connections that are open while the rules that let them in come and go."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from tests.traffic.site import Guest, Site
from tests.traffic.streams import Echoes, Segments, Stream, connected, ends
from tests.traffic.tenancy import (
    PING,
    TCP,
    UDP,
    Tenancy,
    everything,
    from_group,
    numbered,
    rule,
)
from vpcctl.model.security_group import Family, SecurityGroup

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]
PROMPTLY_S = 3.0
"""Open vSwitch takes up to a second to look over what its datapath has learned."""


@contextmanager
def conversation(client: Guest, server: Guest, family: Family) -> Iterator[dict[str, Stream]]:
    """Everything at once: TCP and UDP both ways, UDP that only answers, echoes."""
    with ExitStack() as stack:
        there, here = ends(client, server, (4000, 53), family)
        asked, answers = ends(client, server, (4001, 53), family)
        tcp = connected(client, server, 80, family)
        for sock in (there, here, asked, answers, *tcp):
            stack.callback(sock.close)
        wake(there, here)  # the client opens them all, whoever is quicker with neighbour discovery
        wake(asked, answers)
        streams = {
            "udp": Stream(there, here),
            "udp answers": Stream(here, there),
            "udp that only answers": Stream(answers, asked),
            "tcp": Segments(*tcp),
            "tcp answers": Segments(*reversed(tcp)),
            "echoes": Echoes(client, server, family),
        }
        for stream in streams.values():
            stack.callback(stream.close)
        yield streams


def wake(asked: socket.socket, answers: socket.socket) -> None:
    """Open a connection with one datagram that arrives."""
    answers.settimeout(0.2)
    for _ in range(50):
        asked.send(b"open")
        try:
            answers.recv(100)
        except TimeoutError:
            continue
        return
    raise AssertionError("no connection")


def services(group: SecurityGroup | None, family: Family) -> tuple:
    """The rules that let the conversation in."""
    remote = None if group is None else from_group(group)
    number, kind = PING[family]
    return (
        rule("ingress", family, remote, protocol=UDP, ports=(53, 53)),
        rule("ingress", family, remote, protocol=TCP, ports=(80, 80)),
        rule("ingress", family, remote, protocol=number, icmp_type=kind),
    )


def all_flow(streams: dict[str, Stream]) -> None:
    for stream in streams.values():
        stream.flows()


def all_stop(streams: dict[str, Stream], since: float) -> None:
    for name, stream in streams.items():
        assert stream.stops() - since < PROMPTLY_S, name


@pytest.mark.parametrize("at", [0, 1], ids=["same host", "other host"])
@pytest.mark.parametrize("family", [4, 6])
def test_a_servers_rule_ends_both_directions_and_brings_them_back(
    tenancy: Tenancy, family: Family, at: int
) -> None:
    site = tenancy.site
    clients = tenancy.group(*everything("egress"))
    lets_in = services(clients, family)
    servers = tenancy.group(*everything("egress"), *lets_in)
    client, server = tenancy.guest(0, clients), tenancy.guest(at, servers)
    with conversation(client, server, family) as streams:
        all_flow(streams)
        site.change(numbered(servers, *everything("egress")))
        all_stop(streams, time.monotonic())
        site.change(servers)
        all_flow(streams)


@pytest.mark.parametrize("family", [4, 6])
def test_a_clients_rule_ends_both_directions_and_brings_them_back(
    tenancy: Tenancy, family: Family
) -> None:
    clients = tenancy.group(*everything("egress"))
    servers = tenancy.group(*everything("ingress"))
    client, server = tenancy.guest(0, clients), tenancy.guest(1, servers)
    with conversation(client, server, family) as streams:
        all_flow(streams)
        tenancy.site.change(numbered(clients, *everything("ingress")))
        all_stop(streams, time.monotonic())
        tenancy.site.change(clients)
        all_flow(streams)


@pytest.mark.parametrize("family", [4, 6])
def test_who_let_all_in_and_does_not_any_more_loses_who_came(
    tenancy: Tenancy, family: Family
) -> None:
    clients = tenancy.group(*everything("egress"))
    servers = tenancy.group(*everything("egress"), *everything("ingress"))
    client, server = tenancy.guest(0, clients), tenancy.guest(1, servers)
    with conversation(client, server, family) as streams:
        all_flow(streams)
        tenancy.site.change(numbered(servers, *everything("egress")))
        all_stop(streams, time.monotonic())


@pytest.mark.parametrize("family", [4, 6])
def test_who_let_all_out_keeps_what_is_still_allowed(tenancy: Tenancy, family: Family) -> None:
    clients = tenancy.group(*everything("egress"), *everything("ingress"))
    servers = tenancy.group(*services(None, family))
    client, server = tenancy.guest(0, clients), tenancy.guest(1, servers)
    with conversation(client, server, family) as streams:
        all_flow(streams)
        tenancy.site.change(numbered(clients, *everything("egress")))
        begin = time.monotonic()
        all_flow(streams)
        for name, stream in streams.items():
            lost = stream.record.lost(begin, time.monotonic() - 0.1)
            assert name == "udp that only answers" or len(lost) < 3, name


def test_leaving_a_group_ends_what_it_allowed_and_joining_brings_it_back(
    tenancy: Tenancy,
) -> None:
    site = tenancy.site
    clients = tenancy.group(*everything("egress"))
    servers = tenancy.group(*services(clients, 4))
    other = tenancy.group(*everything("egress"))
    client, server = tenancy.guest(0, clients), tenancy.guest(1, servers)
    with conversation(client, server, 4) as streams:
        all_flow(streams)
        site.change(replace(server.port, groups=()))
        all_stop(streams, time.monotonic())
        site.change(server.port)
        all_flow(streams)
        site.change(replace(client.port, groups=(other.id,)))  # may send, but is nobody's client
        all_stop(streams, time.monotonic())
        both = tuple(sorted((clients.id, other.id)))
        site.change(replace(client.port, groups=both))
        all_flow(streams)
        site.remove(clients)  # who names it names nobody then
        all_stop(streams, time.monotonic())
        site.change(clients)
        all_flow(streams)


@pytest.mark.parametrize("family", [4, 6])
def test_kept_connections_outlive_their_rule_and_no_new_one_begins(
    tenancy: Tenancy, family: Family
) -> None:
    clients = tenancy.group(*everything("egress"))
    servers = tenancy.group(*services(clients, family), keep_established=True)
    client, server = tenancy.guest(0, clients), tenancy.guest(1, servers)
    with conversation(client, server, family) as streams:
        all_flow(streams)
        tenancy.site.change(numbered(servers))
        since = time.monotonic()
        for machine in tenancy.site.machines:
            # A datagram in the last milliseconds of what the datapath still has cached would begin
            # a connection, and that is kept.
            machine.appctl("revalidator/wait")
        late = ends(client, server, (4002, 53), family)
        with Stream(*late) as refused:
            refused.is_silent()
        with pytest.raises(TimeoutError):
            connected(client, server, 81, family, timeout=2)
        all_flow(streams)
        for name, stream in streams.items():
            assert not name.startswith("udp") or len(stream.record.lost(since)) < 3, name


def test_a_keeping_group_that_is_left_keeps_nothing(tenancy: Tenancy, site: Site) -> None:
    clients = tenancy.group(*everything("egress"))
    servers = tenancy.group(*services(clients, 4), keep_established=True)
    client, server = tenancy.guest(0, clients), tenancy.guest(1, servers)
    with conversation(client, server, 4) as streams:
        all_flow(streams)
        site.change(replace(server.port, groups=()))
        all_stop(streams, time.monotonic())
