"""What groups and ACLs let through besides the plain case: errors, fragments, odd protocols."""

import ipaddress
import socket
import struct
import time
from contextlib import ExitStack, suppress
from dataclasses import replace

import pytest

from tests.support.waiting import wait_until
from tests.traffic.site import Guest, Site
from tests.traffic.streams import Echoes, Record, Stream, checksum, ends
from tests.traffic.tenancy import (
    UDP,
    Tenancy,
    block,
    everything,
    from_group,
    numbered,
    rule,
)
from vpcctl.model.network_acl import AclRule
from vpcctl.model.security_group import Family

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]
UNKNOWN = 253
"""A protocol number for experiments (RFC 3692)."""
SCTP = 132


def dns(family: Family, **other: object) -> tuple:
    return (rule("ingress", family, protocol=UDP, ports=(53, 53), **other),)


# --- ICMP errors ----------------------------------------------------------------------------------


def refused(sock: socket.socket) -> bool:
    """Tell whether a datagram is answered by the error that nobody listens."""
    sock.settimeout(0.3)
    try:
        sock.send(b"anybody?")
        sock.recv(100)
    except ConnectionRefusedError:
        return True
    except TimeoutError:
        return False
    return False


@pytest.mark.parametrize("at", [0, 1], ids=["same host", "other host"])
@pytest.mark.parametrize("family", [4, 6])
def test_the_error_that_nobody_listens_comes_back(
    tenancy: Tenancy, family: Family, at: int
) -> None:
    clients = tenancy.group(*everything("egress"))
    servers = tenancy.group(*dns(family))
    client, server = tenancy.guest(0, clients), tenancy.guest(at, servers)
    with client.opens(socket.SOCK_DGRAM, family) as sock:
        sock.connect((server.address(family), 53))
        wait_until(lambda: refused(sock), 10, "the error arrives")
        tenancy.site.change(numbered(servers))
        wait_until(lambda: not refused(sock), 10, "no datagram, no error")


def too_big(client: Guest, server: Guest, ports: tuple[int, int], family: Family) -> bytes:
    """The error that a datagram of *client* to *server* was too big, as if on its way."""
    ends = [ipaddress.ip_address(one.address(family)).packed for one in (client, server)]
    inner = struct.pack("!4H8s", *ports, 1400, 0, b"12345678")
    if family == 6:
        header = struct.pack("!IHBB16s16s", 6 << 28, len(inner), UDP, 63, *ends)
        return struct.pack("!BBHI", 2, 0, 0, 1300) + header + inner
    plain = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 1420, 7, 0x4000, 63, UDP, 0, *ends)
    header = plain[:10] + struct.pack("!H", checksum(plain)) + plain[12:]
    body = struct.pack("!HH", 0, 1300) + header + inner
    return b"\x03\x04" + struct.pack("!H", checksum(b"\x03\x04\0\0" + body)) + body


@pytest.mark.parametrize("at", [0, 1], ids=["same host", "other host"])
@pytest.mark.parametrize("family", [4, 6])
def test_too_big_arrives_when_it_is_about_an_allowed_connection(
    tenancy: Tenancy, family: Family, at: int
) -> None:
    clients = tenancy.group(*everything("egress"))
    servers = tenancy.group(*dns(family))
    client, server = tenancy.guest(0, clients), tenancy.guest(at, servers)
    protocol = socket.IPPROTO_ICMP if family == 4 else socket.IPPROTO_ICMPV6
    with ExitStack() as stack:
        there, here = (stack.enter_context(one) for one in ends(client, server, (4000, 53), family))
        tells = stack.enter_context(server.opens(socket.SOCK_RAW, family, protocol))
        hears = stack.enter_context(client.opens(socket.SOCK_RAW, family, protocol))
        hears.settimeout(0.3)
        stream = stack.enter_context(Stream(there, here))
        stream.flows()

        def arrives(ports: tuple[int, int]) -> bool:
            error = too_big(client, server, ports, family)
            tells.sendto(error, (client.address(family), 0))
            with suppress(TimeoutError):
                while error[8:] not in hears.recv(2000):
                    pass
                return True
            return False

        wait_until(lambda: arrives((4000, 53)), 10, "the error arrives")
        assert not arrives((4000, 54)), "about no connection"
        tenancy.site.change(numbered(servers))
        stream.stops()
        assert not arrives((4000, 53)), "about a connection that is not allowed any more"


# --- fragments ------------------------------------------------------------------------------------


class Large(Stream):
    """Datagrams of several fragments."""

    def send(self, number: int) -> None:
        self.source.send(struct.pack("!I", number) + b"x" * 4000)
        time.sleep(0.02)

    def receive(self) -> int | None:
        return struct.unpack("!I", self.target.recv(9000)[:4])[0]


@pytest.mark.parametrize("at", [0, 1], ids=["same host", "other host"])
@pytest.mark.parametrize("family", [4, 6])
def test_fragments_pass_as_their_datagram_does(tenancy: Tenancy, family: Family, at: int) -> None:
    clients = tenancy.group(*everything("egress"))
    servers = tenancy.group(*dns(family))
    client, server = tenancy.guest(0, clients), tenancy.guest(at, servers)
    with ExitStack() as stack:
        allowed, denied = (
            ends(client, server, (4000, 53), family),
            ends(client, server, (4000, 54), family),
        )
        for sock in (*allowed, *denied):
            stack.callback(sock.close)
        passes = stack.enter_context(Large(*allowed))
        answers = stack.enter_context(Large(*reversed(allowed)))
        never = stack.enter_context(Large(*denied))
        passes.flows()
        answers.flows()
        never.is_silent()
        tenancy.site.change(numbered(servers))
        passes.stops()
        answers.stops()
        tenancy.site.change(servers)
        passes.flows()
        never.is_silent()


def test_later_fragments_alone_do_not_pass(tenancy: Tenancy) -> None:
    clients = tenancy.group(*everything("egress"))
    servers = tenancy.group(*dns(4))
    client, server = tenancy.guest(0, clients), tenancy.guest(1, servers)
    raw = client.opens(socket.SOCK_RAW, 4, socket.IPPROTO_RAW)
    hears = server.wire()
    hears.settimeout(0.2)
    with raw, hears, ExitStack() as stack:
        pair = ends(client, server, (4000, 53))
        for sock in pair:
            stack.callback(sock.close)
        ips = [ipaddress.ip_address(one.ipv4).packed for one in (client, server)]
        with Stream(*pair) as stream:
            for number in range(100, 120):
                header = struct.pack(*("!BBHHHBBH4s4s", 0x45, 0, 44, number, 100, 64, UDP, 0), *ips)
                raw.sendto(header + b"all alone here and quite late.."[:24], (server.ipv4, 0))
            stream.flows()
            stream.close()
        frames = []
        with suppress(TimeoutError):
            while True:
                frames.append(hears.recv(2000))
        assert any(b"\x00\x35" in frame for frame in frames), "the allowed ones are seen"
        assert not any(b"all alone" in frame for frame in frames)


# --- protocols without connections ----------------------------------------------------------------


class Raw(Stream):
    """Numbers in IP packets of a protocol of their own, behind what may be SCTP's header."""

    def __init__(self, source: Guest, target: Guest, family: Family, protocol: int) -> None:
        socks = []
        for one, other in ((source, target), (target, source)):
            made = one.opens(socket.SOCK_RAW, family, protocol)
            made.connect((other.address(family), 0))
            socks.append(made)
        self._skip = 20 if family == 4 else 0
        super().__init__(*socks)

    def send(self, number: int) -> None:
        self.source.send(struct.pack("!HHIII", 4000, 5000, 1, 0, number))

    def receive(self) -> int | None:
        return struct.unpack("!I", self.target.recv(2000)[self._skip :][12:16])[0]

    def close(self) -> Record:
        super().close()
        self.source.close()
        self.target.close()
        return self.record


@pytest.mark.parametrize("family", [4, 6])
def test_what_has_no_connections_needs_rules_for_each_direction(
    tenancy: Tenancy, family: Family
) -> None:
    odd = {"protocol": SCTP, "ports": (5000, 5001)}
    clients = tenancy.group(rule("egress", family, **odd))
    servers = tenancy.group(rule("ingress", family, **odd))
    client, server = tenancy.guest(0, clients), tenancy.guest(1, servers)
    with Raw(client, server, family, SCTP) as there, Raw(server, client, family, SCTP) as back:
        there.flows()
        back.is_silent()
        tenancy.site.change(
            numbered(clients, *clients.rules, rule("ingress", family)),
            numbered(servers, *servers.rules, rule("egress", family, **odd)),
        )
        back.flows()
        there.flows()
        tenancy.site.change(servers)
        back.stops()
        there.flows()


@pytest.mark.parametrize("family", [4, 6])
def test_without_ports_all_between_two_addresses_is_a_connection(
    tenancy: Tenancy, family: Family
) -> None:
    clients = tenancy.group(rule("egress", family, protocol=UNKNOWN))
    servers = tenancy.group(rule("ingress", family, protocol=UNKNOWN))
    client, server = tenancy.guest(0, clients), tenancy.guest(1, servers)
    with Raw(server, client, family, UNKNOWN) as back:
        back.is_silent()
        with Raw(client, server, family, UNKNOWN) as there:
            there.flows()
            back.flows()
            tenancy.site.change(numbered(servers))
            back.stops()
            there.stops()


def test_a_stateless_group_judges_answers_too(tenancy: Tenancy) -> None:
    clients = tenancy.group(rule("egress", 4, protocol=UDP, ports=(53, 53)), stateful=False)
    servers = tenancy.group(*dns(4))
    client, server = tenancy.guest(0, clients), tenancy.guest(1, servers)
    pair = ends(client, server, (4000, 53))
    with ExitStack() as stack:
        for sock in pair:
            stack.callback(sock.close)
        there = stack.enter_context(Stream(*pair))
        back = stack.enter_context(Stream(*reversed(pair)))
        there.flows()
        back.is_silent()
        answers = rule("ingress", 4, protocol=UDP, ports=(4000, 4000))
        tenancy.site.change(numbered(clients, *clients.rules, answers))
        back.flows()
        there.flows()
        tenancy.site.change(numbered(clients, answers))
        there.stops()


# --- two tenants, ACLs ----------------------------------------------------------------------------


def test_tenants_with_the_same_addresses_have_rules_of_their_own(site: Site) -> None:
    red, blue = Tenancy(site), Tenancy(site)
    streams = []
    groups = []
    with ExitStack() as stack:
        for tenancy, open_to in ((red, True), (blue, False)):
            clients = tenancy.group(*everything("egress"))
            servers = tenancy.unborn()
            lets_in = numbered(servers, *dns(4, remote=from_group(clients)))
            site.change(lets_in if open_to else servers)
            client, server = tenancy.guest(0, clients), tenancy.guest(1, servers)
            pair = ends(client, server, (4000, 53))
            for sock in pair:
                stack.callback(sock.close)
            streams.append(stack.enter_context(Stream(*pair)))
            groups.append((servers, lets_in))
        assert streams[0].flows() is None
        streams[1].is_silent()
        site.change(groups[0][0], groups[1][1])
        streams[1].flows()
        streams[0].stops()


def test_an_acl_judges_each_packet_between_subnets_and_none_within(tenancy: Tenancy) -> None:
    site = tenancy.site
    everybody = tenancy.group(*everything("egress"), *everything("ingress"))
    far = tenancy.guest(0, everybody)
    client = tenancy.guest(0, everybody, subnet=1)
    server = tenancy.guest(1, everybody, subnet=1)
    every = block("0.0.0.0/0")
    comes = AclRule(10, "ingress", True, every, UDP, (53, 53))
    goes = AclRule(20, "egress", True, block("10.0.1.0/24"), UDP)
    subnet = tenancy.subnets[1]
    acl = tenancy.acl(comes, goes)
    site.change(acl, replace(subnet, acl_id=acl.id))
    with ExitStack() as stack:
        routed, near = ends(far, server, (4000, 53)), ends(client, server, (4001, 53))
        for sock in (*routed, *near):
            stack.callback(sock.close)
        there = stack.enter_context(Stream(*routed))
        back = stack.enter_context(Stream(*reversed(routed)))
        within = stack.enter_context(Stream(*near))
        within.flows()
        there.flows()
        back.flows()
        site.change(replace(acl, rules=(AclRule(5, "egress", False, every), goes, comes)))
        back.stops()
        there.flows()
        site.change(replace(acl, rules=()))
        there.stops()
        within.flows()
        gateway = replace(client.port, ips=(subnet.gateway,))
        with Echoes(client, replace(client, port=gateway)) as pings:
            pings.flows()
        site.change(subnet)
        there.flows()
        back.flows()
