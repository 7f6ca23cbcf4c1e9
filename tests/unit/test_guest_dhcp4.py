"""DHCP as RFC 2131 has it: the port's own address, and nothing else."""

import ipaddress
import time

import pytest
from msgspec.structs import replace

from agent.decide.guest.answering import answer
from agent.decide.guest.book import Book
from agent.decide.guest.frames import Refused
from agent.wire.state import GuestSubnet
from tests.support import guest_frames as g

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
OWN, GATEWAY = bytes((10, 0, 1, 20)), bytes((10, 0, 1, 1))
BOOK = Book(g.state(subnet=g.block(options=g.OPTIONS)))
EVERYTHING = (55, bytes((1, 3, 6, 12, 15, 26, 42, 58, 59, 119, 121)))


def answered(frame: bytes, known: Book) -> list[bytes]:
    return answer(frame, known).frames


def ask(frame: bytes, book: Book = BOOK) -> g.Datagram:
    (found,) = answered(frame, book)
    return g.opened(found)


def said(datagram: g.Datagram) -> dict[int, bytes]:
    return g.options4(datagram.payload)


def refusal(frame: bytes, book: Book = BOOK) -> str:
    with pytest.raises(Refused) as raised:
        answer(frame, book)
    return str(raised.value)


def test_a_discovery_is_answered_by_an_offer_of_the_ports_address() -> None:
    offer = ask(g.from_dhcp4(g.dhcp4(DISCOVER, EVERYTHING)))
    assert (offer.source, offer.target, offer.ports) == ("10.0.1.1", "10.0.1.20", (67, 68))
    assert (offer.to_mac, offer.from_mac) == (g.MAC, g.SERVICE)
    message = offer.payload
    assert (message[0], message[4:8], message[16:20]) == (2, b"\1\2\3\4", OWN)
    assert message[28:34] == g.MAC
    assert len(message) >= 300
    options = said(offer)
    assert (options[53], options[54], options[51]) == (
        bytes((OFFER,)),
        GATEWAY,
        (3600).to_bytes(4, "big"),
    )


def test_the_lease_says_all_that_is_known() -> None:
    options = said(ask(g.from_dhcp4(g.dhcp4(REQUEST, (50, OWN), (54, GATEWAY), EVERYTHING))))
    assert options[53] == bytes((ACK,))
    assert options[1] == bytes((255, 255, 255, 0))
    assert options[3] == GATEWAY
    assert options[6] == bytes((10, 0, 0, 2))
    assert options[12] == b"web-1"
    assert options[15] == b"shop.internal"
    assert options[26] == (1450).to_bytes(2, "big")
    assert options[42] == bytes((10, 0, 0, 3))
    assert (options[58], options[59]) == ((1800).to_bytes(4, "big"), (3150).to_bytes(4, "big"))
    assert options[119] == b"\4shop\x08internal\0\7example\3com\0"


def test_classless_routes_hold_the_default_route_too() -> None:
    options = said(ask(g.from_dhcp4(g.dhcp4(DISCOVER, EVERYTHING))))
    near = bytes((25, 192, 0, 2, 0, 10, 0, 1, 9))
    far = bytes((24, 198, 51, 100, 10, 0, 1, 8))
    assert options[121] == bytes((0, 10, 0, 1, 1)) + near + far


TABLE = ("203.0.113.7/32", "198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/24", "172.16.0.0/12")


def routes(datagram: g.Datagram) -> list[tuple[str, str]]:
    """Option 121 taken apart (RFC 3442)."""
    rest, found = said(datagram)[121], []
    while rest:
        length = (rest[0] + 7) // 8
        block = ipaddress.ip_network((rest[1 : 1 + length].ljust(4, b"\0"), rest[0]))
        hop = ipaddress.ip_address(rest[1 + length : 5 + length])
        found.append((str(block), str(hop)))
        rest = rest[5 + length :]
    return found


def with_table(*table: str, port_ids: tuple[str, ...] = ()) -> GuestSubnet:
    """A subnet with this route table, whose first route leads to ports."""
    routes = [{"destination": block} for block in table]
    routes[0]["port_ids"] = port_ids  # type: ignore[assignment]
    return g.block(options=g.OPTIONS, routes=routes)


def lease(*table: str, asked: tuple = EVERYTHING, port_ids: tuple[str, ...] = ()) -> g.Datagram:
    """What a guest of such a subnet is offered."""
    book = Book(g.state(subnet=with_table(*table, port_ids=port_ids)))
    return ask(g.from_dhcp4(g.dhcp4(DISCOVER, asked, (57, b"\x05\xdc"))), book)


def test_the_route_tables_routes_lead_to_the_gateway_and_a_sets_count_more() -> None:
    first = [("0.0.0.0/0", "10.0.1.1"), ("192.0.2.0/25", "10.0.1.9")]
    first += [("198.51.100.0/24", "10.0.1.8")]
    further = [(block, "10.0.1.1") for block in TABLE if block != "198.51.100.0/24"]
    assert routes(lease(*TABLE)) == first + further
    assert 121 not in said(lease(*TABLE, asked=(55, b"\1\3")))


def test_who_passes_on_what_is_for_a_destination_is_not_told_to_send_it_back() -> None:
    ours, others = f"port-{g.KEY:017x}", "port-00000000000000999"
    told = routes(lease(*TABLE))
    assert routes(lease(*TABLE, port_ids=(others,))) == told
    assert routes(lease(*TABLE, port_ids=(ours, others))) == [
        one for one in told if one[0] != TABLE[0]
    ]


@pytest.mark.parametrize("length", [32, 24, 16, 8])
def test_routes_take_one_option_and_what_is_left_out_goes_the_same_way(length: int) -> None:
    table = [f"{100 + n}.0.0.0/{length}" for n in range(41)]
    found = lease(*table)
    size = 5 + (length + 7) // 8
    assert 255 - size < len(said(found)[121]) <= 255
    told = [block for block, _ in routes(found)[3:]]
    assert told == table[: len(told)]
    assert {1, 3, 6, 12, 15, 26, 42, 58, 59, 119} <= said(found).keys()


def test_a_small_client_gets_what_matters_first_and_routes_with_what_is_left() -> None:
    book = Book(g.state(subnet=with_table(*TABLE * 8)))
    small = ask(g.from_dhcp4(g.dhcp4(DISCOVER, EVERYTHING)), book)
    assert len(small.payload) <= 548
    assert {1, 3, 6, 12, 15, 26, 42, 51, 54, 58, 59, 119, 121} <= said(small).keys()
    assert 3 < len(routes(small)) < 3 + 8 * len(TABLE)


def test_what_is_not_asked_for_is_not_said_but_for_what_breaks_a_guest() -> None:
    options = said(ask(g.from_dhcp4(g.dhcp4(DISCOVER, (55, bytes((15,)))))))
    assert set(options) == {53, 54, 51, 1, 3, 6, 26, 15}


def test_a_client_that_takes_little_gets_the_important() -> None:
    long = replace(g.OPTIONS, search=tuple(f"{n}{'x' * 50}.example" for n in range(4)))
    book = Book(g.state(subnet=g.block(options=long)))
    small = ask(g.from_dhcp4(g.dhcp4(DISCOVER, EVERYTHING, (57, (576).to_bytes(2, "big")))), book)
    assert len(small.payload) <= 548
    assert {1, 3, 6, 26, 51, 54, 121} <= set(said(small))
    large = ask(g.from_dhcp4(g.dhcp4(DISCOVER, EVERYTHING, (57, (1500).to_bytes(2, "big")))), book)
    assert 119 in said(large)


@pytest.mark.parametrize(
    ("what", "options", "fields", "source", "target"),
    [
        ("selecting", ((50, OWN), (54, GATEWAY)), {}, "0.0.0.0", "255.255.255.255"),
        ("after a restart", ((50, OWN),), {}, "0.0.0.0", "255.255.255.255"),
        ("renewing", (), {"ciaddr": "10.0.1.20"}, "10.0.1.20", "10.0.1.1"),
        ("rebinding", (), {"ciaddr": "10.0.1.20"}, "10.0.1.20", "255.255.255.255"),
    ],
)
def test_every_kind_of_request_for_the_own_address_is_granted(
    what: str, options: tuple, fields: dict, source: str, target: str
) -> None:
    lease = ask(g.from_dhcp4(g.dhcp4(REQUEST, *options, **fields), source, target))
    assert said(lease)[53] == bytes((ACK,)), what
    assert (lease.payload[16:20], lease.target) == (OWN, "10.0.1.20")


@pytest.mark.parametrize(
    ("options", "ciaddr", "target"),
    [
        (((50, bytes((10, 0, 1, 21))), (54, GATEWAY)), "0.0.0.0", "255.255.255.255"),
        (((50, bytes((192, 168, 0, 7))),), "0.0.0.0", "255.255.255.255"),
        ((), "10.0.1.21", "10.0.1.1"),
        ((), "10.0.1.21", "255.255.255.255"),
        ((), "192.168.0.7", "255.255.255.255"),
    ],
    ids=["selecting", "after a restart", "renewing", "rebinding", "of another network"],
)
def test_another_address_is_refused_for_all_to_hear(
    options: tuple, ciaddr: str, target: str
) -> None:
    """Whoever renews or rebinds speaks from the address that it asks for."""
    nak = ask(g.from_dhcp4(g.dhcp4(REQUEST, *options, ciaddr=ciaddr), ciaddr, target))
    assert said(nak).keys() == {53, 54}
    assert said(nak)[53] == bytes((NAK,))
    assert (nak.target, nak.to_mac) == ("255.255.255.255", b"\xff" * 6)
    assert nak.payload[12:20] == bytes(8)
    assert nak.from_mac == g.SERVICE


def test_a_client_that_wants_a_broadcast_gets_one() -> None:
    offer = ask(g.from_dhcp4(g.dhcp4(DISCOVER, flags=0x8000)))
    assert (offer.target, offer.to_mac) == ("255.255.255.255", b"\xff" * 6)
    assert offer.payload[10:12] == b"\x80\0"


def test_an_informed_client_keeps_its_address() -> None:
    told = ask(g.from_dhcp4(g.dhcp4(INFORM, EVERYTHING, ciaddr="10.0.1.20"), "10.0.1.20"))
    options = said(told)
    assert options[53] == bytes((ACK,))
    assert {51, 58, 59}.isdisjoint(options), "no lease (RFC 2131, section 4.3.5)"
    assert (told.payload[16:20], told.target) == (bytes(4), "10.0.1.20")
    other = g.from_dhcp4(g.dhcp4(INFORM, ciaddr="10.0.1.21"), "10.0.1.20")
    assert refusal(other) == "dhcp4-wrong-address"


def test_the_clients_id_goes_back_to_it() -> None:
    assert said(ask(g.from_dhcp4(g.dhcp4(DISCOVER, (61, b"\1abc")))))[61] == b"\1abc"


def test_one_of_several_addresses_can_be_asked_for() -> None:
    book = Book(g.state(g.guest(g.KEY, g.MAC, "10.0.1.20", "10.0.1.30")))
    wish = (50, bytes((10, 0, 1, 30)))
    assert ask(g.from_dhcp4(g.dhcp4(DISCOVER, wish)), book).payload[16:20] == wish[1]
    wild = (50, bytes((10, 0, 1, 40)))
    assert ask(g.from_dhcp4(g.dhcp4(DISCOVER, wild)), book).payload[16:20] == OWN


def test_a_ports_own_options_take_the_place_of_its_subnets() -> None:
    own = replace(g.OPTIONS, domain="other.example")
    book = Book(g.state(g.guest(options=own), subnet=g.block(options=g.OPTIONS)))
    assert said(ask(g.from_dhcp4(g.dhcp4(DISCOVER)), book))[15] == b"other.example"


def _overloaded() -> bytes:
    """A request whose address is in the field for the boot file (RFC 2132, section 9.3)."""
    message = bytearray(g.dhcp4(REQUEST, (52, b"\1")))
    message[108 : 108 + 7] = bytes((50, 4, 10, 0, 1, 21)) + b"\xff"
    return bytes(message)


def test_options_in_other_fields_are_read() -> None:
    assert said(ask(g.from_dhcp4(_overloaded())))[53] == bytes((NAK,))


@pytest.mark.parametrize(
    ("reason", "frame"),
    [
        ("dhcp4-declined", g.from_dhcp4(g.dhcp4(DECLINE, (50, OWN)))),
        ("dhcp4-released", g.from_dhcp4(g.dhcp4(RELEASE), "10.0.1.20", "10.0.1.1")),
        ("dhcp4-other-server", g.from_dhcp4(g.dhcp4(REQUEST, (50, OWN), (54, OWN)))),
        ("dhcp4-other-server", g.from_dhcp4(g.dhcp4(REQUEST), "10.0.1.20", "10.0.2.1")),
        ("dhcp4-malformed", g.from_dhcp4(g.dhcp4(REQUEST))),
        ("dhcp4-malformed", g.from_dhcp4(g.dhcp4(OFFER))),
        ("dhcp4-malformed", g.from_dhcp4(g.dhcp4(DISCOVER, op=2))),
        ("dhcp4-malformed", g.from_dhcp4(g.dhcp4(DISCOVER)[:239])),
        ("dhcp4-malformed", g.from_dhcp4(g.dhcp4(DISCOVER)[:236] + b"BOOT" + b"\xff")),
        ("dhcp4-malformed", g.from_dhcp4(g.dhcp4(DISCOVER)[:-1] + b"\x0c\xff1")),
        ("dhcp4-malformed", g.from_dhcp4(g.dhcp4(DISCOVER)[:240] + b"\xff")),
        ("dhcp4-relayed", g.from_dhcp4(g.dhcp4(DISCOVER, giaddr="10.0.1.9"))),
        ("dhcp4-wrong-mac", g.from_dhcp4(g.dhcp4(DISCOVER, chaddr=bytes(5) + b"\7"))),
        (
            "dhcp4-wrong-mac",
            g.frame(g.udp("0.0.0.0", "255.255.255.255", (68, 67), g.dhcp4(1)), bytes(5) + b"\7"),
        ),
        (
            "dhcp4-malformed",
            g.frame(g.udp("0.0.0.0", "255.255.255.255", (67, 67), g.dhcp4(DISCOVER))),
        ),
        ("dhcp4-malformed", g.frame(g.udp("fe80::1", "ff02::1", (68, 67), g.dhcp4(DISCOVER)))),
    ],
)
def test_what_is_not_answered_is_counted(reason: str, frame: bytes) -> None:
    assert refusal(frame) == reason


BARE = Book(g.state(g.guest(g.KEY, g.MAC, "fd00:1::20")))


def test_a_port_without_an_ipv4_address_is_offered_none() -> None:
    assert refusal(g.from_dhcp4(g.dhcp4(DISCOVER)), BARE) == "dhcp4-no-address"
    inform = g.from_dhcp4(g.dhcp4(INFORM, ciaddr="10.0.1.20"), "10.0.1.20")
    assert refusal(inform, BARE) == "dhcp4-no-address"
    assert (
        refusal(g.from_dhcp4(g.dhcp4(RELEASE), "10.0.1.20", "10.0.1.1"), BARE) == "dhcp4-released"
    )


@pytest.mark.parametrize(
    ("options", "ciaddr", "target"),
    [
        ((), "10.0.1.20", "10.0.1.1"),
        ((), "10.0.1.20", "255.255.255.255"),
        (((50, OWN),), "0.0.0.0", "255.255.255.255"),
        (((50, OWN), (54, GATEWAY)), "0.0.0.0", "255.255.255.255"),
    ],
    ids=["renewing", "rebinding", "after a restart", "selecting"],
)
def test_a_port_whose_address_was_taken_away_hears_so(
    options: tuple, ciaddr: str, target: str
) -> None:
    nak = ask(g.from_dhcp4(g.dhcp4(REQUEST, *options, ciaddr=ciaddr), ciaddr, target), BARE)
    assert said(nak)[53] == bytes((NAK,))
    assert nak.target == "255.255.255.255"


def test_a_port_that_the_host_does_not_know_hears_nothing() -> None:
    frame = g.frame(
        g.udp("0.0.0.0", "255.255.255.255", (68, 67), g.dhcp4(DISCOVER)),
        service=bytes.fromhex("0e7600000102"),
    )
    assert refusal(frame) == "unknown-port"


def test_two_guests_with_the_same_mac_hear_each_their_own() -> None:
    other = g.guest(0x102, g.MAC, "10.0.1.99")
    book = Book(g.state(g.guest(), other))
    packet = g.udp("0.0.0.0", "255.255.255.255", (68, 67), g.dhcp4(DISCOVER))
    service = bytes.fromhex("0e7600000102")
    answered = ask(g.frame(packet, service=service), book)
    assert answered.payload[16:20] == ipaddress.ip_address("10.0.1.99").packed
    assert answered.from_mac == service


def test_an_answer_costs_little() -> None:
    """Well under what 200 requests a second leave; the socket's cost comes on top."""
    frame = g.from_dhcp4(g.dhcp4(DISCOVER, EVERYTHING))
    costs = []
    for _ in range(300):
        begun = time.process_time()
        answer(frame, BOOK)
        costs.append(time.process_time() - begun)
    assert sorted(costs)[len(costs) * 99 // 100] < 0.005
