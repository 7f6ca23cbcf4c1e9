"""The metadata service: what it tells whom, its tokens, and that noise over HTTP does nothing."""

import asyncio
import json
from urllib.parse import quote

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.decide.names.guest import Guest, guest_of
from agent.decide.names.metadata import Data, Request, Response, answer
from agent.decide.names.tokens import MAX_TTL_S, Tokens
from agent.names.http_server import read_request

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBRsDO me@here"
SAID = {
    "key": 0x10203,
    "port_id": "port-00000000000000001",
    "vpc_id": "vpc-00000000000000001",
    "tenant": "one",
    "subnet_id": "subnet-00000000000000001",
    "mac": "0e:00:00:00:00:01",
    "interfaces": ["10.0.1.10/24", "fd00:1::10/64"],
    "ipv6_mode": "slaac",
    "mtu": 1450,
    "host_name": "web",
    "domain": "one.test",
    "resolvers": ["169.254.169.253"],
    "public": [["10.0.1.10", "203.0.113.5"], ["10.0.1.11", "203.0.113.6"]],
    "availability_zone": "room-1",
    "tags": [],
}
GUEST = guest_of(SAID)
OTHER = guest_of(
    SAID
    | {"key": 7, "port_id": "port-00000000000000007", "mac": "0e:00:00:00:00:07", "host_name": "db"}
)
DATA = Data(b"#cloud-config\n", (KEY,))
TOKENS = Tokens(b"secret")
NOW = 1_000.0


def ask(
    path: str, guest: Guest = GUEST, data: Data = DATA, method: str = "GET", **headers: str
) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return answer(Request(method, path, named), guest, data, TOKENS, NOW)


def text(path: str) -> str:
    found = ask(path)
    assert found.status == 200, path
    return found.body.decode()


def test_every_name_that_is_listed_is_there() -> None:
    """Crawls as cloud-init does."""
    seen, left = {}, ["/latest/meta-data/"]
    while left:
        path = left.pop()
        for name in text(path).splitlines():
            below = f"{path}{name.partition('=')[0]}" + ("/" if "=" in name else "")
            if below.endswith("/"):
                left.append(below)
            else:
                seen[below.removeprefix("/latest/meta-data/")] = text(below)
    assert seen["instance-id"] == "port-00000000000000001"
    assert seen["local-hostname"] == "web.one.test"
    assert seen["public-keys/0/openssh-key"] == KEY
    macs = "network/interfaces/macs/0e:00:00:00:00:01"
    assert seen[f"{macs}/local-ipv4s"] == "10.0.1.10"
    assert seen[f"{macs}/subnet-ipv6-cidr-blocks"] == "fd00:1::/64"
    assert seen["public-ipv4"] == "203.0.113.5"
    assert seen["placement/availability-zone"] == "room-1"
    assert seen[f"{macs}/public-ipv4s"] == "203.0.113.5\n203.0.113.6"
    assert seen[f"{macs}/ipv4-associations/203.0.113.6"] == "10.0.1.11"


def test_what_a_guest_does_not_have_is_not_listed() -> None:
    inside = guest_of(SAID | {"public": [], "availability_zone": ""})
    macs = f"/latest/meta-data/network/interfaces/macs/{GUEST.mac}"
    for tree, name in (
        ("/latest/meta-data", "public-ipv4"),
        ("/latest/meta-data", "placement"),
        (macs, "public-ipv4s"),
        (macs, "ipv4-associations"),
    ):
        assert ask(f"{tree}/{name}", inside).status == 404
        assert name not in ask(f"{tree}/", inside).body.decode()
    about = ask("/openstack/latest/meta_data.json", inside).body
    assert "availability_zone" not in json.loads(about)


def test_a_guest_without_an_ipv4_address_is_told_of_none() -> None:
    """Not of an empty one either, which cloud-init would take for one."""
    alone = guest_of(SAID | {"interfaces": ["fd00:1::10/64"], "public": []})
    macs = f"/latest/meta-data/network/interfaces/macs/{GUEST.mac}"
    for tree, name in (
        ("/latest/meta-data", "local-ipv4"),
        (macs, "local-ipv4s"),
        (macs, "subnet-ipv4-cidr-block"),
    ):
        assert ask(f"{tree}/{name}", alone).status == 404
        assert name not in ask(f"{tree}/", alone).body.decode().splitlines()
    assert "privateIp" not in json.loads(ask(IDENTITY, alone).body)
    assert ask("/latest/meta-data/ipv6", alone).body == b"fd00:1::10"


IDENTITY = "/latest/dynamic/instance-identity/document"


def test_tags_of_the_port_are_its_guests() -> None:
    tree = "/latest/meta-data/tags/instance"
    tags = {"team": "blue", "7": "seven", "a:b=c": "häuser", "x": ""}
    hidden = {"a b": "", "a/b": "", ".": "", "..": "", "0=key": "", "12=": ""}
    tagged = guest_of(SAID | {"tags": [*(tags | hidden).items()]})
    assert ask(f"{tree}/", tagged).body.decode().splitlines() == [*tags]
    for key, value in tags.items():
        assert ask(f"{tree}/{quote(key)}", tagged).body.decode() == value
    for key in hidden:
        assert ask(f"{tree}/{quote(key, safe='')}", tagged).status == 404
    assert "tags/" in ask("/latest/meta-data/", tagged).body.decode().splitlines()
    assert ask(tree).status == 404
    assert "tags/" not in text("/latest/meta-data/").splitlines()


def test_the_identity_document_says_what_is_known() -> None:
    said = json.loads(text(IDENTITY))
    assert (said["instanceId"], said["privateIp"]) == (GUEST.port_id, "10.0.1.10")
    assert said["availabilityZone"] == "room-1"
    nowhere = guest_of(SAID | {"availability_zone": ""})
    assert "availabilityZone" not in json.loads(ask(IDENTITY, nowhere).body)


def test_paths_may_be_percent_encoded() -> None:
    macs = "/latest/meta-data/network/interfaces/macs"
    encoded = GUEST.mac.replace(":", "%3A")
    assert text(f"{macs}/{encoded}/mac") == text(f"{macs}/{encoded.lower()}/mac") == GUEST.mac
    assert text("/latest/meta%2ddata/instance-id") == GUEST.port_id
    assert ask("/latest/meta-data%2Finstance-id").status == 404, "a name, not two"
    assert ask("/latest/%ff%zz%").status == 404
    assert ask("/latest/api/%74oken").status == 405


def test_openstacks_documents() -> None:
    about = json.loads(text("/openstack/latest/meta_data.json"))
    assert (about["uuid"], about["public_keys"]) == (GUEST.port_id, {"key-0": KEY})
    assert (about["availability_zone"], about["project_id"]) == ("room-1", "one")
    old = guest_of(SAID | {"tenant": SAID["vpc_id"]})  # of a controller that names no tenant
    assert "project_id" not in json.loads(ask("/openstack/latest/meta_data.json", old).body)
    network = json.loads(text("/openstack/2018-08-27/network_data.json"))
    assert network["links"][0]["mtu"] == 1450
    assert {one["link"] for one in network["networks"]} == {network["links"][0]["id"]}
    assert network["services"] == [{"type": "dns", "address": "169.254.169.253"}]
    assert ask("/openstack/latest/user_data").body == b"#cloud-config\n"


def networks(mode: str | None, *interfaces: str) -> list[dict[str, str]]:
    """What OpenStack's document says of a port with these addresses, without names of its own."""
    guest = guest_of(SAID | {"interfaces": interfaces, "ipv6_mode": mode})
    said = json.loads(ask("/openstack/latest/network_data.json", guest).body)["networks"]
    assert [one.pop("id") for one in said] == [f"network{at}" for at in range(len(said))]
    for one in said:
        assert (one.pop("link"), one.pop("network_id")) == ("port0", GUEST.subnet_id)
    return said


MADE, CHOSEN = "fd00:1::c00:ff:fe00:1/64", "fd00:1::10/64"


@pytest.mark.parametrize(
    ("mode", "address", "told"),
    [
        ("slaac", MADE, "ipv6_slaac"),
        ("slaac", CHOSEN, "ipv6_dhcpv6-stateful"),
        ("dhcpv6-stateless", MADE, "ipv6_dhcpv6-stateless"),
        ("dhcpv6-stateless", CHOSEN, "ipv6_dhcpv6-stateful"),
        ("dhcpv6-stateful", MADE, "ipv6_dhcpv6-stateful"),
        ("dhcpv6-stateful", CHOSEN, "ipv6_dhcpv6-stateful"),
    ],
)
def test_openstacks_reader_is_told_to_ask_by_the_rule_of_router_advertisements(
    mode: str, address: str, told: str
) -> None:
    """Of an address said as fixed cloud-init makes one that stays, and no RAs are heard."""
    asks = [{"type": "ipv4_dhcp"}, {"type": told}]
    assert networks(mode, "10.0.1.10/24", address) == asks
    assert networks(mode, "10.0.1.10/24", address, "fd00:1::99/64") == asks
    assert networks(mode, address) == asks[1:]


def test_only_what_dhcp_cannot_give_is_said_as_fixed() -> None:
    more = {"type": "ipv4", "ip_address": "10.0.1.11", "netmask": "255.255.255.0"}
    assert networks(None, "10.0.1.10/24", "10.0.1.11/24") == [{"type": "ipv4_dhcp"}, more]
    assert networks(None) == []


@pytest.mark.parametrize(
    "path", ["/x", "/latest/x", "/latest/meta-data/instance-id/x", "/openstack/x", "/latest/../etc"]
)
def test_what_is_not_there(path: str) -> None:
    assert ask(path).status == 404
    assert ask("/latest/user-data", data=Data()).status == 404
    assert ask("/latest/meta-data/", method="POST").status == 405
    asked = ask("/latest/api/token")
    assert (asked.status, asked.headers) == (405, (("Allow", "PUT"),))


def test_tokens_are_asked_for_where_they_are_required_and_are_one_ports() -> None:
    strict = Data(tokens_required=True)
    path = "/latest/meta-data/instance-id"
    assert ask(path, data=strict).status == 401
    made = ask("/latest/api/token", method="PUT", x_aws_ec2_metadata_token_ttl_seconds="60")
    token = made.body.decode()
    assert ask(path, data=strict, x_aws_ec2_metadata_token=token).status == 200
    assert ask(path, OTHER, strict, x_aws_ec2_metadata_token=token).status == 401
    assert ask(path, data=Data(), x_aws_ec2_metadata_token="wrong").status == 401
    assert not TOKENS.is_good(token, GUEST.key, NOW + 61)
    assert not Tokens(b"other").is_good(token, GUEST.key, NOW)


@pytest.mark.parametrize("life", ["", "0", "-1", "x", str(MAX_TTL_S + 1), "9" * 30])
def test_a_tokens_life_is_bounded(life: str) -> None:
    made = ask("/latest/api/token", method="PUT", x_aws_ec2_metadata_token_ttl_seconds=life)
    assert made.status == 400


def test_a_proxy_gets_no_token() -> None:
    headers = {"x_aws_ec2_metadata_token_ttl_seconds": "60", "x_forwarded_for": "10.0.0.1"}
    assert ask("/latest/api/token", method="PUT", **headers).status == 403


@given(st.text(max_size=60), st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_path_and_token_are_answered(path: str, token: str) -> None:
    found = answer(Request("GET", path, {}), GUEST, DATA, TOKENS, NOW)
    assert found.status in (200, 404, 405)
    assert not TOKENS.is_good(token, GUEST.key, NOW)


def test_another_guest_is_not_to_be_had_by_naming_it() -> None:
    macs = "/latest/meta-data/network/interfaces/macs"
    for name in (OTHER.port_id, OTHER.mac, OTHER.host_name):
        assert ask(f"{macs}/{name}/local-hostname").status == 404
        assert ask(f"/latest/meta-data/{name}").status == 404
        for header in ("x_forwarded_for", "x_instance_id", "host"):
            found = ask("/latest/meta-data/instance-id", **{header: name})
            assert found.body == GUEST.port_id.encode()
    assert ask(f"{macs}/{OTHER.mac}/local-hostname", OTHER).body == b"db.one.test"


def heard(data: bytes) -> Request | None:
    async def hear() -> Request | None:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=8_192)
        return await read_request(http, reader)

    try:
        return asyncio.run(hear())
    except h11.ProtocolError:
        return None


GOOD = b"GET /latest/ HTTP/1.1\r\nHost: x\r\nX-Aws-Ec2-Metadata-Token: t\r\n\r\n"


def test_a_request_is_taken_apart() -> None:
    found = heard(GOOD)
    assert found is not None
    assert (found.method, found.path) == ("GET", "/latest/")
    assert found.headers["x-aws-ec2-metadata-token"] == "t"
    for whole in (b"http://169.254.169.254/latest/?x=/", b"HTTP://[fd00:ec2::254]:80/latest/?x"):
        found = heard(GOOD.replace(b"/latest/", whole))
        assert found is not None
        assert found.path == "/latest/", "RFC 9112, section 3.2.2"
    for bare in (b"http://169.254.169.254", b"http://169.254.169.254?x=/y"):
        found = heard(GOOD.replace(b"/latest/", bare))
        assert found is not None
        assert found.path == "/"
    assert heard(b"GET /" + b"x" * 9_000) is None
    assert (
        heard(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n" + b"x" * 9_000) is None
    )


@given(st.integers(0, len(GOOD)), st.binary(max_size=12))
@settings(max_examples=150, deadline=None)
def test_damaged_requests(at: int, noise: bytes) -> None:
    heard(GOOD[:at] + noise + GOOD[at:])
    heard(GOOD[:at])
    heard(noise)
