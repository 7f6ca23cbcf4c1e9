"""Errors on the way between guests and outside, joined as they are: flows, conntrack and agents.

A kernel gives an error to a socket only if the packet that is quoted is one that the socket has
sent. So what each side is told has been translated back to what it has said itself.
"""

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from tests.e2e.cloud import Cloud, Guest
from tests.support import leftovers
from tests.support.hosts import checksums_off, command, own_netns
from tests.support.waiting import wait_until
from tests.traffic.site import inside

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(120)]
ROUTER, BLOCK, POOL = "203.0.113.1", "203.0.113.0/24", "203.0.113.16/28"
FAR, FARTHER = "192.0.2.77", "192.0.2.78"
CLOSED, HEARD, SERVED = 33434, 7000, 7001
NARROW, PORTS, WIRE = 1300, 1450, 1500
"""What fits beyond the router, ports, and the provider's network; bytes."""
UNREACHABLE, EXCEEDED = 3, 11
NO_PORT, TOO_LONG = 3, 4
_MTU_DISCOVER, _PROBE, _FITS, _RECVERR, _FROM_ICMP = 10, 3, 14, 11, 2
"""Options of ip(7): IP_MTU_DISCOVER, IP_PMTUDISC_PROBE, IP_MTU, IP_RECVERR; and where an error is
from, SO_EE_ORIGIN_ICMP."""
_HEADS = 28
_ROUND_S, _PATIENCE_S = 0.1, 10.0


@dataclass(frozen=True)
class Told:
    """An error that a socket has got: who said it, its type and code, and what fits."""

    by: str
    kind: tuple[int, int]
    fits: int = 0


def told(netns: str, to: tuple[str, int], size: int = 60, hops: int = 64) -> Told:
    """Send datagrams of so many bytes, which nobody may cut, until somebody says an error."""
    with inside(netns, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as wire:
        wire.setsockopt(socket.IPPROTO_IP, _MTU_DISCOVER, _PROBE)
        wire.setsockopt(socket.IPPROTO_IP, _RECVERR, 1)
        wire.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
        wire.connect(to)
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            with suppress(OSError):
                wire.send(bytes(size - _HEADS))
            found = _error_of(wire)
            if found is not None:
                return found
    raise AssertionError(f"nobody says an error about what is sent to {to}")


def _error_of(wire: socket.socket) -> Told | None:
    """What ``recvmsg`` tells of the last error, see ip(7), IP_RECVERR."""
    select.select([wire], [], [], _ROUND_S)
    try:
        _, messages, _, _ = wire.recvmsg(2_000, 500, socket.MSG_ERRQUEUE)
    except BlockingIOError:
        return None
    for level, kind, data in messages:
        if (level, kind) == (socket.IPPROTO_IP, _RECVERR):
            _, origin, icmp_type, code, _, fits = struct.unpack_from("=IBBBBI", data)
            by = socket.inet_ntoa(data[20:24])
            return Told(by, (icmp_type, code), fits) if origin == _FROM_ICMP else None
    return None


# --- the place ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outside:
    """A router on the provider's network, and a machine behind it, to which little fits."""

    router: str
    far: str


@dataclass(frozen=True)
class Inside:
    """A guest, and the address by which outside knows it."""

    guest: Guest
    address: str


Place = tuple[Outside, dict[str, Inside]]


@pytest.fixture(scope="module")
def place(cloud: Cloud) -> Iterator[Place]:
    """One guest whose host is outside itself, and two on a host that is not: an EIP, and NAT."""
    with ExitStack() as stack:
        outside = stack.enter_context(_outside(cloud))
        stack.enter_context(_provider(cloud))
        yield outside, _guests(cloud, stack)


@contextmanager
def _outside(cloud: Cloud) -> Iterator[Outside]:
    """A bridge of the first host's with a cable to a router, and somebody behind that."""
    host, cable = cloud.hosts[0], f"vc{leftovers.tag(3)}"
    with own_netns("vo") as router, own_netns("vo") as far, ExitStack() as stack:
        _cable(cable, host.name, "eth0", router)
        stack.callback(host.run, "ip", "link", "del", cable, check=False)
        _cable("eth1", router, "eth0", far)
        command("ip", "-n", router, "link", "set", "eth1", "mtu", str(NARROW))
        addresses = ((router, "eth0", f"{ROUTER}/24"), (router, "eth1", "192.0.2.1/24"))
        some = (*addresses, (far, "eth0", f"{FAR}/24"), (far, "eth0", f"{FARTHER}/24"))
        for netns, device, address in some:
            command("ip", "-n", netns, "addr", "add", address, "dev", device)
        command("ip", "-n", far, "route", "add", "default", "via", "192.0.2.1")
        for netns in (router, far):
            knobs = ("net.ipv4.ip_forward=1", "net.ipv4.icmp_ratelimit=0")
            command("nsenter", f"--net=/run/netns/{netns}", "sysctl", "-qw", *knobs)
        host.vsctl("add-br", "br-ex", "--", "set", "bridge", "br-ex", "datapath_type=netdev")
        stack.callback(host.vsctl, "--if-exists", "del-br", "br-ex")
        host.vsctl("add-port", "br-ex", cable)
        yield Outside(router, far)


def _cable(one: str, here: str, other: str, there: str) -> None:
    ends = ("name", one, "netns", here), ("name", other, "netns", there)
    command("ip", "link", "add", *ends[0], "type", "veth", "peer", *ends[1])
    for device, netns in ((one, here), (other, there)):
        checksums_off(device, netns=netns)
        command("ip", "-n", netns, "link", "set", device, "up")


@contextmanager
def _provider(cloud: Cloud) -> Iterator[None]:
    """The first host's agent knows what its bridge is for, and the host may be a gateway."""
    path, before = f"hosts/{cloud.host_ids[0]}", cloud.agent_options
    cloud.stop("agent-0")
    cloud.agent_options = (*before, "--providers", "isp=br-ex")
    cloud.start("agent-0")
    cloud.agent_options = before
    cloud.patch(path, gateway=True)
    try:
        yield
    finally:
        cloud.patch(path, gateway=False)
        cloud.stop("agent-0")
        cloud.start("agent-0")


def _guests(cloud: Cloud, stack: ExitStack) -> dict[str, Inside]:
    def make(plural: str, **body: Any) -> dict[str, Any]:
        made = cloud.post(plural, **body)
        stack.callback(cloud.delete, f"{plural}/{made['id']}")
        return made

    isp = {"provider": "isp", "cidr": BLOCK, "gateway": ROUTER, "pools": [POOL]}
    network = make("external-networks", **isp)["id"]
    vpc = make("vpcs", cidrs=["10.80.0.0/16"], tenant_id="errors")["id"]
    leads = {"vpc_id": vpc, "external_network_id": network}
    eips = [make("eips", external_network_id=network, tenant_id="errors") for _ in range(3)]
    nat = make("nat-gateways", **leads, eip_ids=[eips[2]["id"]])["id"]
    gateway = make("internet-gateways", **leads)["id"]
    public, private = (_table(make, vpc, target) for target in (gateway, nat))
    group = make("security-groups", vpc_id=vpc)["id"]
    for way, protocol in product(("ingress", "egress"), ("udp", "tcp")):
        # No ICMP: errors pass because of what they are about.
        cloud.post(f"security-groups/{group}/rules", direction=way, protocol=protocol)
    some: dict[str, Inside] = {}
    for third, (name, at, table) in enumerate(
        (("near", 0, public), ("away", 1, public), ("shared", 1, private)), 1
    ):
        block = {"cidr": f"10.80.{third}.0/24", "route_table_id": table}
        subnet = make("subnets", vpc_id=vpc, **block)
        guest = cloud.guest(at, subnet, security_groups=[group])
        stack.callback(cloud.delete, f"ports/{guest.id}")
        guest.run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0")
        some[name] = Inside(guest, eips[third - 1]["address"])
        if name != "shared":
            to = f"eips/{eips[third - 1]['id']}/association"
            made = cloud.admin.put(to, json={"port_id": guest.id}, params=_REALISED)
            assert made.is_success, made.text
            stack.callback(cloud.delete, to)
    _forward(cloud, stack, nat, some["shared"].guest)
    return some


_REALISED = {"wait": "realized", "timeout": 30}


def _table(make: Any, vpc: str, target: str) -> str:
    default = {"destination": "0.0.0.0/0", "targets": [target]}
    return make("route-tables", vpc_id=vpc, routes=[default])["id"]


def _forward(cloud: Cloud, stack: ExitStack, nat: str, guest: Guest) -> None:
    for port in (CLOSED, HEARD):
        body = {"protocol": "udp", "ports": str(port), "address": guest.ipv4}
        made = cloud.post(f"nat-gateways/{nat}/forwards", **body)
        stack.callback(cloud.delete, f"nat-gateways/{nat}/forwards/{made['id']}")
    wait_until(
        lambda: cloud.get(f"nat-gateways/{nat}")["status"]["state"] == "active",
        what="a NAT gateway that works",
    )


@pytest.fixture(params=["near", "away", "shared"])
def one(place: Place, request: pytest.FixtureRequest) -> Inside:
    return place[1][request.param]


@pytest.fixture
def outside(place: Place) -> Outside:
    return place[0]


# --- said outside, about what guests send ---------------------------------------------------------


def test_a_guest_is_told_what_becomes_of_its_packets_outside(one: Inside) -> None:
    """By whom it says it is: refused at the end, expired and too long at the router on the way."""
    netns = one.guest.netns
    assert told(netns, (FAR, CLOSED)) == Told(FAR, (UNREACHABLE, NO_PORT))
    assert told(netns, (FAR, CLOSED), hops=2) == Told(ROUTER, (EXCEEDED, 0))
    too_long = Told(ROUTER, (UNREACHABLE, TOO_LONG), NARROW)
    assert told(netns, (FAR, CLOSED), size=NARROW + 1) == too_long


def test_a_stream_finds_what_fits_on_its_way(one: Inside, outside: Outside) -> None:
    sent = os.urandom(300_000)
    with inside(outside.far, lambda: socket.create_server((FARTHER, SERVED))) as server:
        server.settimeout(_PATIENCE_S)
        got: list[bytes] = []

        def take() -> None:
            wire, _ = server.accept()
            with wire:
                wire.settimeout(_PATIENCE_S)
                while data := wire.recv(1 << 16):
                    got.append(data)

        thread = threading.Thread(target=take)
        thread.start()
        with inside(one.guest.netns, lambda: _connected((FARTHER, SERVED))) as wire:
            wire.sendall(sent)
            found = wire.getsockopt(socket.IPPROTO_IP, _FITS)
        thread.join()
    assert b"".join(got) == sent
    assert found == NARROW


def _connected(to: tuple[str, int]) -> socket.socket:
    return socket.create_connection(to, timeout=_PATIENCE_S)


# --- said inside, about what comes from outside ---------------------------------------------------


def test_outside_is_told_what_becomes_of_its_packets_inside(one: Inside, outside: Outside) -> None:
    """By the address that it has sent to, whoever says it: the guest, or its host."""
    refused = Told(one.address, (UNREACHABLE, NO_PORT))
    assert told(outside.far, (one.address, CLOSED)) == refused
    assert told(outside.router, (one.address, CLOSED)) == refused
    too_long = Told(one.address, (UNREACHABLE, TOO_LONG), PORTS)
    assert told(outside.router, (one.address, CLOSED), size=WIRE) == too_long


def test_outside_is_told_what_a_guest_says_of_the_way_beyond_it(
    one: Inside, outside: Outside
) -> None:
    """As one does that hands packets on over something narrow."""
    with _says_too_long(one.guest, 1200):
        said = told(outside.far, (one.address, HEARD))
    assert said == Told(one.address, (UNREACHABLE, TOO_LONG), 1200)


@pytest.mark.parametrize("other", ["near", "away", "shared"])
def test_guests_refuse_each_other_by_their_addresses_outside(
    place: Place, one: Inside, other: str
) -> None:
    """Also itself; and what is said is translated twice: for who says it, and for who is told."""
    to = place[1][other].address
    assert told(one.guest.netns, (to, CLOSED)) == Told(to, (UNREACHABLE, NO_PORT))


@contextmanager
def _says_too_long(guest: Guest, fits: int) -> Iterator[None]:
    """Have a guest listen, and answer each datagram by an error that says what fits."""
    ended = threading.Event()
    with (
        inside(guest.netns, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as listens,
        inside(guest.netns, _raw(socket.IPPROTO_UDP)) as hears,
        inside(guest.netns, _raw(socket.IPPROTO_ICMP)) as says,
    ):
        listens.bind(("", HEARD))
        hears.settimeout(_ROUND_S)

        def answer() -> None:
            while not ended.is_set():
                with suppress(TimeoutError):
                    packet, source = hears.recvfrom(2_000)
                    says.sendto(_too_long(packet, fits), source)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _raw(protocol: int) -> Any:
    return lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)


def _too_long(packet: bytes, fits: int) -> bytes:
    """An ICMP error about a packet (RFC 1191)."""
    message = struct.pack("!BBHHH", UNREACHABLE, TOO_LONG, 0, 0, fits) + packet[:_HEADS]
    total = sum(struct.unpack(f"!{len(message) // 2}H", message))
    total = (total & 0xFFFF) + (total >> 16)
    return message[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + message[4:]
