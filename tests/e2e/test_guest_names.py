"""Names and metadata as guests ask for them: both families, UDP and TCP, token or none."""

import base64
import contextlib
import http.client
import json
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import pytest

from agent.decide import marks
from tests.e2e.cloud import Cloud, Guest, make_cloud
from tests.support.waiting import wait_until
from tests.traffic.site import inside
from vpcctl.model.names import NAMES_OFPORT

pytestmark = [pytest.mark.root, pytest.mark.slow]

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBRsDO me@here"
DNS4, DNS6 = "169.254.169.253", "fd00:ec2::253"

# A resolver of the operator's: whatever is asked has one address.
_RESOLVER = """
import socket
import dns.message, dns.rrset
opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
opened.bind(("127.0.0.1", 53))
print("ready", flush=True)
while True:
    data, peer = opened.recvfrom(4096)
    question = dns.message.from_wire(data)
    answer = dns.message.make_response(question)
    name = question.question[0].name
    answer.answer = [dns.rrset.from_text(name, 60, "IN", "A", "203.0.113.7")]
    opened.sendto(answer.to_wire(), peer)
"""


def ask(
    guest: Guest,
    name: str,
    kind: str = "A",
    *,
    server: str = DNS4,
    how: str = "udp",
    timeout: float = 3.0,
) -> Any:
    """Ask one question from the guest, over UDP or TCP."""
    question = dns.message.make_query(name, kind, use_edns=0, payload=1232)
    try:
        with _socket(guest, server, how) as opened:
            opened.settimeout(timeout)
            opened.connect((server, 53))
            answer = dns.message.from_wire(_exchanged(opened, question.to_wire()))
    except OSError as error:
        return {"error": repr(error)}
    assert question.is_response(answer)
    return {
        "rcode": dns.rcode.to_text(answer.rcode()),
        "values": sorted(one.to_text() for found in answer.answer for one in found),
        "truncated": bool(answer.flags & dns.flags.TC),
    }


def _exchanged(opened: socket.socket, wire: bytes) -> bytes:
    if opened.type == socket.SOCK_DGRAM:
        opened.send(wire)
        return opened.recv(4096)
    opened.sendall(struct.pack("!H", len(wire)) + wire)
    with opened.makefile("rb") as answers:
        return answers.read(*struct.unpack("!H", answers.read(2)))


def _socket(guest: Guest, server: str, how: str) -> socket.socket:
    """Return a socket in the guest's namespace."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    kind = socket.SOCK_STREAM if how == "tcp" else socket.SOCK_DGRAM
    return inside(guest.netns, lambda: socket.socket(family, kind))


def values(guest: Guest, name: str, kind: str = "A", **how: Any) -> list[str]:
    answer = ask(guest, name, kind, **how)
    return answer.get("values", [])


def fetch(guest: Guest, path: str, method: str = "GET", **more: Any) -> tuple[int, str]:
    """Speak to the metadata service from the guest."""
    address, headers = more.get("address", "169.254.169.254"), more.get("headers", {})
    connection = http.client.HTTPConnection(address, 80)
    connection.sock = _socket(guest, address, "tcp")
    connection.sock.settimeout(5)
    with contextlib.closing(connection):
        connection.sock.connect((address, 80))
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with make_cloud(2, environment={"VPCCTL_DNS_FORWARDERS": "127.0.0.1"}) as made:
        yield made


@pytest.fixture(scope="module")
def guests(cloud: Cloud) -> tuple[Guest, Guest, Guest]:
    """Two guests of one tenant, and one of another with the first one's addresses."""
    found = []
    blocks = {"cidr": "10.60.1.0/24", "ipv6_cidr": "fd00:60:0:1::/64"}
    for tenant, names in (("one", ("web", "db")), ("two", ("secret",))):
        cidrs = ["10.60.0.0/16", "fd00:60::/48"]
        vpc = cloud.post("vpcs", cidrs=cidrs, tenant_id=tenant, dns_domain=f"{tenant}.test")
        subnet = cloud.subnet(vpc, cloud.admin, **blocks)
        found += [
            cloud.guest(at, subnet, name=name, fixed_ips=[f"10.60.1.{10 + at}"])
            for at, name in enumerate(names)
        ]
    web, db, secret = found
    for guest, name in ((web, "db.one.test"), (db, "web.one.test"), (secret, "secret.two.test")):
        wait_until(lambda guest=guest, name=name: values(guest, name), what=f"names {cloud.logs()}")
    return web, db, secret


def test_names_forward_and_reverse_over_both_families(
    cloud: Cloud, guests: tuple[Guest, Guest, Guest]
) -> None:
    web, db, _ = guests
    for server in (DNS4, DNS6):
        for how in ("udp", "tcp"):
            assert values(web, "db.one.test", server=server, how=how) == [db.ipv4]
            assert values(web, "db.one.test", "AAAA", server=server, how=how) == [db.ipv6]
    assert values(web, "ip-10-60-1-11.one.test") == [db.ipv4]
    assert values(web, "11.1.60.10.in-addr.arpa", "PTR") == ["db.one.test."]
    assert values(db, "web.one.test") == [web.ipv4]
    assert ask(web, "nobody.one.test")["rcode"] == "NXDOMAIN"


def test_each_tenant_sees_its_own_names_alone(guests: tuple[Guest, Guest, Guest]) -> None:
    web, _, secret = guests
    assert web.ipv4 == secret.ipv4
    wait_until(lambda: values(secret, "secret.two.test") == [secret.ipv4], what="its names")
    assert values(secret, "10.1.60.10.in-addr.arpa", "PTR") == ["secret.two.test."]
    assert values(web, "10.1.60.10.in-addr.arpa", "PTR") == ["web.one.test."]
    assert secret.ipv4 not in values(web, "secret.two.test")
    assert values(secret, "db.one.test") != [guests[1].ipv4]


def test_records_come_and_go_and_long_answers_go_over_tcp(
    cloud: Cloud, guests: tuple[Guest, Guest, Guest]
) -> None:
    web, db, _ = guests
    vpc_id = web.port["vpc_id"]
    many = [f"10.60.9.{at}" for at in range(1, 51)]
    for name, kind, said in (
        ("store", "CNAME", ["db"]),
        ("_pg._tcp", "SRV", ["10 5 5432 db"]),
        ("note", "TXT", ["x" * 900, "y" * 900]),
        ("many", "A", many),
    ):
        cloud.post("dns-records", vpc_id=vpc_id, name=name, type=kind, values=said)
    wait_until(lambda: values(web, "many.one.test") != [], what="records are heard of")
    assert values(web, "store.one.test") == [db.ipv4, "db.one.test."]
    assert values(web, "_pg._tcp.one.test", "SRV") == ["10 5 5432 db.one.test."]
    assert values(web, "many.one.test") == sorted(many)
    assert ask(web, "note.one.test", "TXT")["truncated"]
    assert len(values(web, "note.one.test", "TXT", how="tcp")) == 2
    (record,) = cloud.get(f"dns-records?vpc_id={vpc_id}&name=store")["items"]
    cloud.delete(f"dns-records/{record['id']}")
    wait_until(lambda: ask(web, "store.one.test")["rcode"] == "NXDOMAIN", what="the record is gone")


def test_other_names_are_the_operators_to_answer(
    cloud: Cloud, guests: tuple[Guest, Guest, Guest]
) -> None:
    web = guests[0]
    assert ask(web, "www.example.com")["rcode"] == "SERVFAIL", "nobody answers yet"
    resolver = cloud.hosts[0].spawn(sys.executable, "-c", _RESOLVER, stdout=subprocess.PIPE)
    try:
        assert resolver.stdout is not None
        resolver.stdout.readline()
        assert values(web, "www.example.com") == ["203.0.113.7"]
    finally:
        resolver.kill()
        resolver.wait()


# Asks the same for some seconds far faster than its meter lets pass, and prints how often.
_FLOOD = """
import contextlib, socket, sys, time
opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
opened.connect((sys.argv[1], 53))
question, sent, end = bytes.fromhex(sys.argv[2]), 0, time.monotonic() + float(sys.argv[3])
while time.monotonic() < end:
    for _ in range(10):
        with contextlib.suppress(OSError):
            opened.send(question)
            sent += 1
    time.sleep(0.002)
print(sent)
"""


def heard(cloud: Cloud) -> int:
    """How many frames br-int of the first host has given to the sockets for names."""
    shown = cloud.hosts[0].ofctl("dump-ports", "br-int", str(NAMES_OFPORT))
    found = re.search(r"tx pkts=(\d+)", shown)
    assert found, shown
    return int(found[1])


def test_a_guest_that_floods_the_resolver_gets_its_share_and_others_notice_nothing(
    cloud: Cloud, guests: tuple[Guest, Guest, Guest]
) -> None:
    """The one beside it is another tenant's, on the same host."""
    flooding, _, calm = guests
    question = dns.message.make_query("db.one.test", "A").to_wire().hex()
    before, began, answered = heard(cloud), time.monotonic(), 0
    words = (sys.executable, "-c", _FLOOD, DNS4, question, "6")
    flood = flooding.spawn(*words, stdout=subprocess.PIPE)
    while flood.poll() is None:
        assert values(calm, "secret.two.test") == [calm.ipv4]
        answered += 1
        time.sleep(0.02)
    sent, took = int(flood.communicate()[0]), time.monotonic() - began
    reached = heard(cloud) - before - answered
    assert answered > 10
    assert reached <= 2_048 + 1_024 * took + 100, f"{sent} sent, {reached} heard"
    assert sent > reached + 1_000, f"{sent} sent, {reached} heard"
    wait_until(
        lambda: values(flooding, "db.one.test") == [guests[1].ipv4], what="it is heard again"
    )


USER_DATA = "#cloud-config\n"


def guarded(cloud: Cloud, guest: Guest) -> None:
    """Give a guest user data and a key, which it gets with a session token alone."""
    said = base64.b64encode(USER_DATA.encode()).decode()
    cloud.patch(f"ports/{guest.id}", user_data=said, public_keys=[KEY], metadata_tokens="required")
    wait_until(
        lambda: fetch(guest, "/latest/meta-data/instance-id")[0] == 401, what="tokens are needed"
    )


def token(guest: Guest) -> dict[str, str]:
    """Return the header with a session token of a guest."""
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    status, made = fetch(guest, "/latest/api/token", "PUT", headers=ttl)
    assert status == 200
    return {"X-aws-ec2-metadata-token": made}


def test_metadata_with_and_without_token(cloud: Cloud, guests: tuple[Guest, Guest, Guest]) -> None:
    web, db, secret = guests
    assert fetch(web, "/latest/meta-data/instance-id") == (200, web.id)
    assert fetch(secret, "/latest/meta-data/instance-id") == (200, secret.id)
    guarded(cloud, db)
    headers = token(db)
    assert fetch(db, "/latest/user-data", headers=headers) == (200, USER_DATA)
    keys = fetch(db, "/latest/meta-data/public-keys/0/openssh-key", headers=headers)
    assert keys == (200, KEY)
    assert fetch(web, "/latest/meta-data/instance-id", headers=headers)[0] == 401
    status, body = fetch(
        db, "/openstack/latest/meta_data.json", headers=headers, address="fd00:ec2::254"
    )
    assert (status, json.loads(body)["hostname"]) == (200, "db.one.test")
    status, body = fetch(db, "/openstack/latest/network_data.json", headers=headers)
    assert json.loads(body)["links"][0]["ethernet_mac_address"] == db.port["mac_address"]
    assert fetch(web, "/latest/user-data")[0] == 404


def test_an_agent_that_starts_anew_answers_without_the_controller(
    cloud: Cloud, guests: tuple[Guest, Guest, Guest]
) -> None:
    web, db, _ = guests
    guarded(cloud, db)
    cloud.stop("controller", signal.SIGKILL)
    try:
        cloud.stop("agent-1", signal.SIGKILL)
        cloud.start_agent(1)
        wait_until(
            lambda: values(db, "web.one.test", timeout=0.3) == [web.ipv4],
            what=f"names again {cloud.logs()}",
        )
        assert fetch(db, "/latest/user-data")[0] == 401
        assert fetch(db, "/latest/user-data", headers=token(db)) == (200, USER_DATA)
    finally:
        cloud.start_controller()
    cloud.in_sync(1)


def test_the_way_to_the_answers_is_put_back(
    cloud: Cloud, guests: tuple[Guest, Guest, Guest]
) -> None:
    web, db, _ = guests
    host = cloud.hosts[0]
    for what, broken in (
        ("the port", lambda: host.vsctl("del-port", "br-int", marks.SERVICES)),
        ("the device", lambda: host.run("ip", "link", "del", marks.SERVICES)),
        ("the bridge", lambda: host.vsctl("del-br", "br-int")),
    ):
        broken()
        told = f"{what} is put back {cloud.logs()}"
        wait_until(lambda: values(web, "db.one.test", timeout=0.3) == [db.ipv4], what=told)
        assert fetch(web, "/latest/meta-data/instance-id") == (200, web.id)


def test_what_was_answered_is_shown(cloud: Cloud, guests: tuple[Guest, Guest, Guest]) -> None:
    assert values(guests[1], "web.one.test") != []

    def shown() -> bool:
        lines = cloud.agent_command(1, "status").stdout
        return "guests: dns-answered" in lines and "guests: dns-no-name" not in lines

    wait_until(shown, what="the host of this guest has counted its own questions alone")
