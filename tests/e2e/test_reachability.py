"""Who reaches whom, over real hosts, in both families."""

import socket
import struct
import subprocess

import pytest

from tests.e2e.cloud import Cloud, Guest
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(scope="module")
def guests(cloud: Cloud) -> dict[str, Guest]:
    """Two tenants with the same addresses: red and blue, each with two subnets on two hosts."""
    made: dict[str, Guest] = {}
    for tenant in ("red", "blue"):
        client = cloud.tenant(tenant)
        vpc = cloud.post("vpcs", client=client, cidrs=["10.0.0.0/16", "fd00:10::/48"])
        for name, block in (("web", 1), ("app", 2)):
            subnet = cloud.subnet(
                vpc, client, cidr=f"10.0.{block}.0/24", ipv6_cidr=f"fd00:10:0:{block}::/64"
            )
            for at in (0, 1):
                made[f"{tenant}-{name}-{at}"] = cloud.guest(at, subnet, client)
    return made


def _owner(name: str) -> str:
    return name.split("-")[0]


def test_every_pair_of_one_tenant_talks_in_both_families(guests: dict[str, Guest]) -> None:
    for name, guest in guests.items():
        for peer_name, peer in guests.items():
            if peer_name != name and _owner(peer_name) == _owner(name):
                guest.reaches(peer.ipv4)
                guest.reaches(peer.ipv6)


def test_equal_addresses_of_two_tenants_never_meet(guests: dict[str, Guest]) -> None:
    red, blue = guests["red-web-0"], guests["blue-web-1"]
    blue_only = guests["blue-app-1"]
    process = blue_only.spawn(
        *("tcpdump", "-nli", "eth0", "-c1", "icmp[icmptype] == icmp-echo"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    while "listening" not in process.stderr.readline():
        pass
    red.reaches(guests["red-app-1"].ipv4)  # the address that blue-app-1 has as well
    assert process.poll() is None
    blue.reaches(blue_only.ipv4)
    output, _ = process.communicate(timeout=60)
    assert f"{blue.ipv4} > {blue_only.ipv4}" in output


def test_gateways_answer_and_routing_takes_one_hop(guests: dict[str, Guest]) -> None:
    guest = guests["red-web-0"]
    guest.reaches("10.0.1.1")
    guest.reaches("10.0.2.1")
    guest.reaches("fd00:10:0:1::1")
    guest.reaches("fd00:10:0:2::1")
    peer = guests["red-app-1"]
    assert "ttl=63" in guest.run("ping", "-n", "-c1", "-W2", peer.ipv4).stdout
    assert "ttl=64" in guest.run("ping", "-n", "-c1", "-W2", guests["red-web-1"].ipv4).stdout
    assert not guest.pings(peer.ipv4, "-t", "1")


def test_full_sized_packets_pass_and_larger_ones_are_refused_by_the_guest(
    guests: dict[str, Guest],
) -> None:
    guest, peer = guests["red-web-0"], guests["red-app-1"]
    mtu = guest.port["mtu"]
    assert mtu == 1450
    assert guest.pings(peer.ipv4, "-M", "do", "-s", str(mtu - 28))
    assert not guest.pings(peer.ipv4, "-M", "do", "-s", str(mtu - 27))
    assert guest.pings(peer.ipv6, "-M", "do", "-s", str(mtu - 48))


def test_bulk_data_by_tcp_crosses_hosts(guests: dict[str, Guest]) -> None:
    guest, peer = guests["red-web-0"], guests["red-app-1"]
    server = peer.spawn("iperf3", "-s", "-1", stdout=subprocess.DEVNULL)
    wait_until(lambda: ":5201" in peer.run("ss", "-ltn").stdout)
    done = guest.run("iperf3", "-c", peer.ipv4, "-n", "20M", "--connect-timeout", "3000")
    assert "receiver" in done.stdout
    server.wait(10)


def test_spoofed_sources_are_dropped(guests: dict[str, Guest]) -> None:
    guest, peer = guests["red-web-0"], guests["red-web-1"]
    guest.run("ip", "addr", "add", "10.0.1.200/32", "dev", "eth0")
    try:
        assert guest.pings(peer.ipv4)
        assert not guest.pings(peer.ipv4, "-I", "10.0.1.200")
    finally:
        guest.run("ip", "addr", "del", "10.0.1.200/32", "dev", "eth0")


def test_forged_vxlan_is_dropped(cloud: Cloud, guests: dict[str, Guest]) -> None:
    """A machine on the underlay that is no host of ours cannot inject a frame."""
    guest = guests["red-web-0"]
    subnet = cloud.get(f"subnets/{guest.port['subnet_id']}")
    mac = bytes.fromhex(guest.port["mac_address"].replace(":", ""))
    arp = struct.pack(
        "!HHBBH6s4s6s4s",
        *(1, 0x0800, 6, 4, 1, b"\x0e\0\0\0\0\x99", socket.inet_aton("10.0.1.99")),
        *(bytes(6), socket.inet_aton(guest.ipv4)),
    )
    frame = mac + b"\x0e\0\0\0\0\x99" + b"\x08\x06" + arp
    packet = struct.pack("!II", 0x0800_0000, subnet["vni"] << 8) + frame
    dropped = _unknown_vtep_drops(cloud)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
        forger.sendto(packet, (cloud.hosts[0].address, 4789))
    wait_until(lambda: _unknown_vtep_drops(cloud) > dropped, what="the forged frame is counted")


def _unknown_vtep_drops(cloud: Cloud) -> int:
    """Count what host 0 dropped of all that came in by VXLAN."""
    text = cloud.hosts[0].ofctl("dump-flows", "br-int")
    drops = [line for line in text.splitlines() if "actions=drop" in line]
    return sum(int(line.split("n_packets=")[1].split(",")[0]) for line in drops)


def test_broadcasts_reach_the_subnet_and_nobody_else(guests: dict[str, Guest]) -> None:
    sender, member = guests["red-web-0"], guests["red-web-1"]
    others = [guests["red-app-1"], guests["blue-web-1"]]
    code = (
        "import socket; s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
        "s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1);"
    )
    listen = code + "s.bind(('',9999)); print('on', flush=True); print(s.recv(9), flush=True)"
    heard = [
        each.spawn("python3", "-c", listen, stdout=subprocess.PIPE) for each in (member, *others)
    ]
    for process in heard:
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
    sender.run("python3", "-c", code + "s.sendto(b'hello', ('10.0.1.255', 9999))")
    assert "hello" in heard[0].communicate(timeout=60)[0]
    sender.reaches(others[0].ipv4)  # later than the broadcast, and on the same way
    for process in heard[1:]:
        process.kill()
        assert "hello" not in process.communicate()[0]


def test_no_hidden_flow_exists(cloud: Cloud, guests: dict[str, Guest]) -> None:
    del guests
    hidden = cloud.hosts[0].appctl("bridge/dump-flows", "br-int")
    internal = [line for line in hidden.splitlines() if "table_id=254" not in line]
    assert not [line for line in internal if "priority=18000" in line]  # in-band control's
