"""Guests that configure themselves, with the clients of their own systems and the kernel."""

import json
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from agent.decide.guest.options import parse_nd
from tests.e2e.cloud import Cloud, Guest, make_cloud
from tests.support import guest_frames as frames
from tests.support.hosts import command
from tests.support.waiting import wait_until
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import DROP
from vpcctl.model.addresses import link_local

pytestmark = [pytest.mark.root, pytest.mark.slow]

GATEWAY_LINK_LOCAL = "fe80::c76:70ff:fe63:1"
DHCP_SERVER, ROUTER_ADVERTISEMENT = Reason.DHCP_SERVER, Reason.ROUTER_ADVERTISEMENT

# Writes down what a client learnt, one JSON object a line, and uses the address.
_SCRIPT = r"""#!/bin/sh
export KIND="${1:-$reason}"
PYTHON -c 'import json, os; print(json.dumps(dict(os.environ)))' >> LEARNT
case "$KIND" in
bound|renew)
    ip addr replace "$ip/$mask" dev "$interface"
    ip link set "$interface" mtu "${mtu:-1500}"
    ip route replace default via "${router%% *}" ;;
deconfig)
    ip -4 addr flush dev "$interface" ;;
BOUND6|REBIND6|RENEW6)
    ip addr replace "$new_ip6_address/128" dev "$interface" nodad ;;
esac
exit 0
"""


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with make_cloud(1) as made:
        yield made


_KEPT = re.compile(r"iaaddr [^}]*starts \d+[^}]*}", re.DOTALL)
"""An address in the file in which dhclient keeps leases."""


@pytest.fixture(scope="module")
def vpc(cloud: Cloud) -> dict[str, Any]:
    return cloud.post("vpcs", cidrs=["10.50.0.0/16", "fd00:50::/48"], tenant_id="self")


def bare(cloud: Cloud, port: dict[str, Any]) -> Guest:
    """Plug a machine that knows nothing but its MAC, as somebody else would."""
    tag = f"{cloud.tag}-{secrets.token_hex(3)}"
    guest, outer, host = Guest(port, f"vm{tag}"), f"vt{tag}", cloud.hosts[0]
    command("ip", "netns", "add", guest.netns)
    inner = ("peer", "name", "eth0", "address", port["mac_address"], "netns", guest.netns)
    host.run("ip", "link", "add", outer, "type", "veth", *inner)
    host.run("ip", "link", "set", outer, "up")
    guest.run("ethtool", "-K", "eth0", "tx", "off")
    guest.run("ip", "link", "set", "lo", "up")
    iface_id = f"external_ids:iface-id={port['id']}"
    host.vsctl("add-port", "br-int", outer, "--", "set", "interface", outer, iface_id)
    cloud.attached(guest)
    guest.run("ip", "link", "set", "eth0", "up")
    return guest


class Client:
    """A DHCP client in a guest, and what it has learnt."""

    def __init__(self, guest: Guest, directory: Path, *arguments: str) -> None:
        directory.mkdir()
        script, self._learnt = directory / "script", directory / "learnt"
        told = {"PYTHON": sys.executable, "LEARNT": str(self._learnt)}
        script.write_text(re.sub("PYTHON|LEARNT", lambda word: told[word[0]], _SCRIPT))
        script.chmod(0o755)
        self._learnt.touch()
        words = [str(script) if word == "SCRIPT" else word for word in arguments]
        with (directory / "log").open("wb") as log:
            self._process = guest.spawn(*words, cwd=directory, stdout=log, stderr=log)

    def learnt(self, kind: str, times: int = 1) -> dict[str, str]:
        """Return what the script was told by the last event of a kind; waits for *times* of it."""
        wait_until(lambda: len(self._events(kind)) >= times, what=f"the client says {kind}")
        return self._events(kind)[-1]

    def _events(self, kind: str) -> list[dict[str, str]]:
        whole, _, _ = self._learnt.read_text().rpartition("\n")
        told = [json.loads(line) for line in whole.splitlines()]
        return [one for one in told if one["KIND"] == kind]

    def renews(self, within_s: float) -> bool:
        """Ask the server that gave the lease, by unicast; tell whether it grants it in time."""
        before = [len(self._events(kind)) for kind in ("renew", "nak")]
        self._process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + within_s
        while (now := [len(self._events(kind)) for kind in ("renew", "nak")]) == before:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return now[0] > before[0]

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def udhcpc(guest: Guest, directory: Path) -> Iterator[Client]:
    asked = ("mtu", "staticroutes", "ntpsrv", "search", "hostname")
    wishes = [word for name in asked for word in ("-O", name)]
    fast = ("-t", "20", "-T", "1", "-A", "1")
    script = ("-i", "eth0", "-f", *fast, *wishes, "-s", "SCRIPT")
    client = Client(guest, directory, "busybox", "udhcpc", *script)
    try:
        yield client
    finally:
        client.stop()


@contextmanager
def dhclient6(
    guest: Guest, directory: Path, *more: str, lease: Path | None = None
) -> Iterator[Client]:
    """Run a client; *lease* is the file of one that was stopped."""
    files = ("-lf", str(lease or directory / "leases"), "-pf", str(directory / "pid"))
    (directory.parent / "dhclient.conf").write_text(
        "request dhcp6.name-servers, dhcp6.domain-search;\n"
    )
    config = ("-cf", str(directory.parent / "dhclient.conf"), "-sf", "SCRIPT", "eth0")
    client = Client(guest, directory, "dhclient", "-6", "-d", *more, *files, *config)
    try:
        yield client
    finally:
        client.stop()


def addresses(guest: Guest, scope: str = "global") -> list[str]:
    """The guest's IPv6 addresses of a scope, once they are known to be its own."""
    shown = guest.run("ip", "-j", "-6", "addr", "show", "dev", "eth0", "scope", scope).stdout
    return [
        info["local"]
        for link in json.loads(shown)
        for info in link.get("addr_info", ())
        if info and not info.get("tentative")
    ]


def test_a_guest_learns_all_by_dhcp(cloud: Cloud, vpc: dict[str, Any], tmp_path: Path) -> None:
    options = cloud.post(
        "dhcp-options",
        tenant_id="self",
        domain_name="shop.internal",
        dns_servers=["10.50.0.2"],
        ntp_servers=["10.50.0.3"],
        search_domains=["shop.internal", "example.com"],
        routes=[{"destination": "192.0.2.0/24", "next_hop": "10.50.1.9"}],
        lease_time_s=3600,
    )
    cloud.patch(f"vpcs/{vpc['id']}", dhcp_options_id=options["id"])
    subnet = cloud.subnet(vpc, cloud.admin, cidr="10.50.1.0/24")
    other = cloud.guest(0, subnet)
    guest = bare(cloud, cloud.post("ports", subnet_id=subnet["id"], name="Web 1"))
    with udhcpc(guest, tmp_path / "web") as client:
        lease = client.learnt("bound")
        assert (lease["ip"], lease["mask"], lease["router"]) == (guest.ipv4, "24", "10.50.1.1")
        assert (lease["serverid"], lease["lease"]) == ("10.50.1.1", "3600")
        assert (lease["dns"], lease["domain"]) == ("10.50.0.2", "shop.internal")
        assert (lease["ntpsrv"], lease["search"]) == ("10.50.0.3", "shop.internal example.com")
        assert (lease["hostname"], lease["mtu"]) == ("web-1", str(guest.port["mtu"]))
        routes = "0.0.0.0/0 10.50.1.1 192.0.2.0/24 10.50.1.9"
        assert lease["staticroutes"] == routes
        guest.reaches(other.ipv4)
        guest.reaches("10.50.1.1")
        cloud.patch(f"dhcp-options/{options['id']}", domain_name="new.internal")
        (table,) = cloud.get(f"route-tables?vpc_id={vpc['id']}")["items"]
        cloud.patch(f"route-tables/{table['id']}", routes=[{"destination": "198.51.100.0/24"}])
        new = ("new.internal", f"{routes} 198.51.100.0/24 10.50.1.1")
        wait_until(
            lambda: (
                client.renews(within_s=5.0)
                and (told := client.learnt("renew"))
                and (told["domain"], told["staticroutes"]) == new
            ),
            what="the new domain and route are heard of",
        )
    cloud.unplug(0, guest)


def answers(guest: Guest, address: str) -> bool:
    """Whether an address answers the guest right now."""
    asking = ("ping", "-n", "-c1", "-W0.3", address)
    return guest.run(*asking, check=False).returncode == 0


def test_a_guest_hears_at_its_next_renewal_that_its_address_has_changed(
    cloud: Cloud, vpc: dict[str, Any], tmp_path: Path
) -> None:
    """It asks from the address that it has, which is not its port's any more."""
    subnet = cloud.subnet(vpc, cloud.admin, cidr="10.50.7.0/24")
    guest = bare(cloud, cloud.post("ports", subnet_id=subnet["id"], fixed_ips=["10.50.7.20"]))
    with udhcpc(guest, tmp_path / "moved") as client:
        assert client.learnt("bound")["ip"] == "10.50.7.20"
        cloud.patch(f"ports/{guest.port['id']}", fixed_ips=["10.50.7.30"])
        wait_until(lambda: not answers(guest, "10.50.7.1"), what="the old address is cut off")
        guest.run("ip", "neigh", "flush", "dev", "eth0")  # as it will have forgotten by then
        assert not answers(guest, "10.50.7.1")
        assert "lladdr" in guest.run("ip", "neigh", "show", "10.50.7.1", "dev", "eth0").stdout
        wait_until(lambda: not client.renews(within_s=5.0), what="the lease is not prolonged")
        client.learnt("nak")
        assert client.learnt("bound", 2)["ip"] == "10.50.7.30"
        guest.reaches("10.50.7.1")
    cloud.unplug(0, guest)


def test_a_guest_makes_its_address_of_the_advertised_prefix(
    cloud: Cloud, vpc: dict[str, Any]
) -> None:
    block = {"ipv6_cidr": "fd00:50:0:2::/64", "ipv6_mode": "slaac"}
    subnet = cloud.subnet(vpc, cloud.admin, cidr="10.50.2.0/24", **block)
    other = cloud.guest(0, subnet)
    guest = bare(cloud, cloud.post("ports", subnet_id=subnet["id"]))
    wait_until(lambda: addresses(guest) == [guest.ipv6], what="SLAAC is done")
    route = guest.run("ip", "-6", "route", "show", "default").stdout
    assert GATEWAY_LINK_LOCAL in route
    assert f"mtu {guest.port['mtu']}" in route
    guest.reaches(other.ipv6)
    guest.reaches("fd00:50:0:2::1")
    guest.reaches(GATEWAY_LINK_LOCAL, "-I", "eth0")
    cloud.unplug(0, guest)


# Asks for the router, and prints what it says.
_SOLICIT = """
import socket, sys
wire = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
wire.settimeout(10)
wire.sendto(bytes((133, 0, 0, 0)) + bytes(4), ("ff02::2", 0, 0, socket.if_nametoindex("eth0")))
said = b""
while said[:1] != bytes((134,)):
    said = wire.recv(1500)
print(said.hex())
"""


def test_a_guest_makes_its_address_and_asks_dhcpv6_for_the_rest(
    cloud: Cloud, vpc: dict[str, Any], tmp_path: Path
) -> None:
    block = {"ipv6_cidr": "fd00:50:0:8::/64", "ipv6_mode": "dhcpv6-stateless"}
    subnet = cloud.subnet(vpc, cloud.admin, cidr="10.50.8.0/24", **block)
    options = {"dns_servers": ["fd00::53"], "search_domains": ["a.example", "b.example"]}
    guest = bare(cloud, cloud.post("ports", subnet_id=subnet["id"], dhcp_options=options))
    wait_until(lambda: addresses(guest) == [guest.ipv6], what="SLAAC is done")
    wait_until(lambda: bool(addresses(guest, "link")), what="the guest may speak")
    with dhclient6(guest, tmp_path / "six", "-S") as client:
        told = client.learnt("RENEW6")
        assert told["new_dhcp6_name_servers"] == "fd00::53"
        assert told["new_dhcp6_domain_search"] == "a.example. b.example."
        assert "new_ip6_address" not in told
    said = bytes.fromhex(guest.run(sys.executable, "-c", _SOLICIT).stdout)
    assert said[5] == 0x40, "other parameters by DHCPv6, addresses not"
    found = parse_nd(said[16:], "malformed")
    assert found[25][6:] == ip_address("fd00::53").packed  # RDNSS (RFC 8106)
    assert found[31][6:].rstrip(b"\0") == b"\1a\7example\0\1b\7example"  # DNSSL
    assert addresses(guest) == [guest.ipv6]
    cloud.unplug(0, guest)


def test_a_guest_gets_its_address_by_dhcpv6(
    cloud: Cloud, vpc: dict[str, Any], tmp_path: Path
) -> None:
    subnet = cloud.subnet(vpc, cloud.admin, cidr="10.50.3.0/24", ipv6_cidr="fd00:50:0:3::/64")
    assert subnet["ipv6_mode"] == "dhcpv6-stateful"
    options = {"dns_servers": ["fd00::53"], "lease_time_s": 3_600}
    guest = bare(cloud, cloud.post("ports", subnet_id=subnet["id"], dhcp_options=options))
    wait_until(lambda: bool(addresses(guest, "link")), what="the guest may speak")
    with dhclient6(guest, tmp_path / "six") as client:
        lease = client.learnt("BOUND6")
        assert lease["new_ip6_address"] == guest.ipv6
        assert lease["new_dhcp6_name_servers"] == "fd00::53"
        wait_until(lambda: bool(addresses(guest)), what="the guest uses its lease")
        guest.reaches("fd00:50:0:3::1", "-I", guest.ipv6)
        kept = tmp_path / "six" / "leases"
        wait_until(lambda: bool(_KEPT.search(kept.read_text())), what="the lease is written down")
    assert addresses(guest) == [guest.ipv6], "the prefix is not for making addresses"
    kept.write_text(
        re.sub(r"starts (\d+)", lambda at: f"starts {int(at[1]) - 2_000}", kept.read_text())
    )
    with dhclient6(guest, tmp_path / "again", lease=kept) as client:
        assert client.learnt("BOUND6")["new_ip6_address"] == guest.ipv6, "it is confirmed"
        assert client.learnt("RENEW6")["new_ip6_address"] == guest.ipv6
    cloud.unplug(0, guest)


# Sends the frames that it is told.
_SEND = """
import socket, sys
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
for frame in sys.argv[1:]:
    wire.send(bytes.fromhex(frame))
"""


def lies(rogue: Guest, guest: Guest) -> list[bytes]:
    """Answers that are not the rogue's to give: an advertisement, DHCP and DHCPv6 twice each.

    Each is said once from the port of a server, and once to that of a client alone.
    """
    here, there = (
        bytes.fromhex(one.port["mac_address"].replace(":", "")) for one in (rogue, guest)
    )
    local = str(link_local(int.from_bytes(here, "big")))
    advert = bytes.fromhex("8600000040000708") + bytes(8)
    four, six = (rogue.ipv4, guest.ipv4), (rogue.ipv6, guest.ipv6)
    said = [
        frames.icmp6(local, "ff02::1", advert),
        *(frames.udp(*four, (port, 68), frames.dhcp4(2, op=2)) for port in (67, 1067)),
        *(frames.udp(*six, (port, 546), b"\2abc") for port in (547, 1547)),
    ]
    kinds = (b"\x08\x00" if one[0] >> 4 == 4 else b"\x86\xdd" for one in said)
    return [there + here + kind + one for kind, one in zip(kinds, said, strict=True)]


def dropped(cloud: Cloud, reason: Reason) -> int:
    """How many packets the host has dropped for a reason."""
    shown = cloud.hosts[0].ofctl("dump-flows", "br-int", f"table={DROP.number}", "--no-names")
    found = re.findall(rf"n_packets=(\d+),.*reg6={int(reason):#x}[ ,]", shown)
    return sum(map(int, found))


def test_a_guest_that_serves_dhcp_or_routes_is_not_heard(
    cloud: Cloud, vpc: dict[str, Any], tmp_path: Path
) -> None:
    """Another guest's answers must not arrive, whatever it says; each is counted by its reason."""
    subnet = cloud.subnet(vpc, cloud.admin, cidr="10.50.4.0/24", ipv6_cidr="fd00:50:0:4::/64")
    rogue = cloud.guest(0, subnet)
    config = tmp_path / "udhcpd.conf"
    lines = ("start 10.66.0.1", "end 10.66.0.9", "interface eth0", f"lease_file {tmp_path}/l")
    config.write_text("\n".join((*lines, f"pidfile {tmp_path}/p", "opt router 10.66.0.254")))
    (tmp_path / "l").touch()
    server = rogue.spawn("busybox", "udhcpd", "-f", str(config), stderr=subprocess.DEVNULL)
    try:
        guest = bare(cloud, cloud.post("ports", subnet_id=subnet["id"]))
        before = {reason: dropped(cloud, reason) for reason in (DHCP_SERVER, ROUTER_ADVERTISEMENT)}
        rogue.run(sys.executable, "-c", _SEND, *(frame.hex() for frame in lies(rogue, guest)))
        with udhcpc(guest, tmp_path / "web") as client:
            assert client.learnt("bound")["ip"] == guest.ipv4
        wait_until(
            lambda: dropped(cloud, ROUTER_ADVERTISEMENT) == before[ROUTER_ADVERTISEMENT] + 1,
            what="its advertisement is counted",
        )
        wait_until(
            lambda: dropped(cloud, DHCP_SERVER) >= before[DHCP_SERVER] + 4,
            what="its answers are counted",
        )
    finally:
        server.kill()
        server.wait()
    shown = guest.run("ip", "-6", "route", "show", "default").stdout
    assert [line for line in shown.splitlines() if GATEWAY_LINK_LOCAL not in line] == []
    cloud.unplug(0, guest)


def test_the_agent_answers_after_its_restart_while_the_controller_is_down(
    cloud: Cloud, vpc: dict[str, Any], tmp_path: Path
) -> None:
    block = {"ipv6_cidr": "fd00:50:0:5::/64", "ipv6_mode": "slaac"}
    subnet = cloud.subnet(vpc, cloud.admin, cidr="10.50.5.0/24", **block)
    guest = bare(cloud, cloud.post("ports", subnet_id=subnet["id"]))
    with udhcpc(guest, tmp_path / "before") as client:
        client.learnt("bound")
        wait_until(lambda: addresses(guest) == [guest.ipv6], what="SLAAC is done")
        cloud.stop("agent-0", signal.SIGKILL)
        cloud.stop("controller")
        cloud.start_agent(0)
        # A client asks once and then waits for hours: it is made to ask until the agent is there.
        wait_until(lambda: client.renews(within_s=2.0), what="the agent answers again")
        assert client.learnt("renew")["ip"] == guest.ipv4
    guest.run("ip", "addr", "flush", "dev", "eth0")
    guest.run("ip", "link", "set", "eth0", "down")
    guest.run("ip", "link", "set", "eth0", "up")
    with udhcpc(guest, tmp_path / "after") as client:
        assert client.learnt("bound")["ip"] == guest.ipv4
    wait_until(lambda: addresses(guest) == [guest.ipv6], what="SLAAC is done again")
    cloud.start_controller()
    cloud.in_sync(0)
    cloud.unplug(0, guest)


# Sends discoveries for some seconds as fast as it can, and prints how many.
_FLOOD = """
import socket, struct, sys, time
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
mac = wire.getsockname()[4]
udp = struct.pack("!HHHH", 68, 67, 8 + 240, 0) + b"\\x01\\x01\\x06\\0" + bytes(236)
head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), b"\\xff" * 4)
total = sum(struct.unpack("!10H", head))
total = (total & 0xFFFF) + (total >> 16)
head = head[:10] + struct.pack("!H", 0xFFFF ^ total) + head[12:]
frame = b"\\xff" * 6 + mac + b"\\x08\\0" + head + udp
sent, end = 0, time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    wire.send(frame)
    sent += 1
    time.sleep(0.0005)
print(sent)
"""


def heard(cloud: Cloud) -> int:
    """How many frames br-int has given to the agent."""
    shown = cloud.hosts[0].ofctl("dump-ports", "br-int", "65000")
    found = re.search(r"tx pkts=(\d+)", shown)
    assert found, shown
    return int(found[1])


def test_a_guest_that_floods_gets_its_share_and_others_notice_nothing(
    cloud: Cloud, vpc: dict[str, Any], tmp_path: Path
) -> None:
    subnet = cloud.subnet(vpc, cloud.admin, cidr="10.50.6.0/24")
    flooding, calm = (bare(cloud, cloud.post("ports", subnet_id=subnet["id"])) for _ in range(2))
    before, seconds = heard(cloud), 8.0
    began = time.monotonic()
    flood = flooding.spawn(sys.executable, "-c", _FLOOD, str(seconds), stdout=subprocess.PIPE)
    with udhcpc(calm, tmp_path / "calm") as client:
        assert client.learnt("bound")["ip"] == calm.ipv4
        for times in range(1, 6):
            assert client.renews(within_s=5.0), f"renewal {times} is answered"
        at_once = time.monotonic() - began
        sent = int(flood.communicate(timeout=30)[0])
        took = time.monotonic() - began
    reached = heard(cloud) - before
    assert at_once < seconds, "all that was while the other one flooded"
    assert sent > 10 * (reached + 1), f"{sent} sent, {reached} heard"
    assert 40 <= reached <= 40 + 20 * took + 30, f"{sent} sent, {reached} heard"
    cloud.unplug(0, flooding)
    cloud.unplug(0, calm)
