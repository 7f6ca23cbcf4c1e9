"""The codec against os-ken's parser and against a real Open vSwitch."""

import dataclasses
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.southbound.fake_switch import hello
from tests.southbound.ovs import Ovs
from vpcctl.compile import compile_host
from vpcctl.flows import fields as f
from vpcctl.flows.actions import (
    OFPP_IN_PORT,
    BundleLoad,
    CheckLarger,
    ClearTracking,
    Commit,
    Conjunction,
    DecTtl,
    Learn,
    Load,
    Move,
    Multipath,
    Nat,
    Output,
    Resubmit,
    SetField,
    Track,
)
from vpcctl.flows.cookie import OWNER_COOKIE
from vpcctl.flows.fields import Bits, Field
from vpcctl.flows.flow import Flow, match
from vpcctl.flows.meter import Meter
from vpcctl.flows.tables import FLOOD, OUTPUT, TABLES
from vpcctl.pipeline.example import HERE, example
from vpcctl.southbound.codec import messages as m
from vpcctl.southbound.codec import meters as codec
from vpcctl.southbound.transport import validate
from vpcctl.southbound.transport.hub import ofproto_parser, ofproto_protocol

FREE = [
    f.IN_PORT,
    f.TUN_ID,
    f.TUN_SRC,
    f.ETH_DST,
    f.ETH_SRC,
    f.CONJ_ID,
    f.TUN_IPV6_SRC,
    *f.REGS,
    *f.XXREGS[2:],
    f.VLAN_VID,
    f.CT_STATE,
    f.CT_ZONE,
    f.CT_MARK,
]
VALID = (f.CT_STATE, f.CT_TRK, f.CT_TRK | f.CT_INV)
METERS = (Meter(5, "kbps", 1000, 1024), Meter(262_143, "pktps", 20, 40))
KINDS: dict[str, tuple[list[tuple], list[Field]]] = {
    "any": ([], []),
    "ipv4": ([(f.ETH_TYPE, 0x800)], [f.IPV4_SRC, f.IPV4_DST, f.IP_TTL]),
    "ipv6": ([(f.ETH_TYPE, 0x86DD)], [f.IPV6_SRC, f.IPV6_DST, f.IP_TTL]),
    "arp": ([(f.ETH_TYPE, 0x806)], [f.ARP_OP, f.ARP_SPA, f.ARP_TPA, f.ARP_SHA, f.ARP_THA]),
    "udp": ([(f.ETH_TYPE, 0x800), (f.IP_PROTO, 17)], [f.UDP_SRC, f.UDP_DST, f.IPV4_DST]),
    "tcp6": ([(f.ETH_TYPE, 0x86DD), (f.IP_PROTO, 6)], [f.TCP_SRC, f.TCP_DST, f.IPV6_DST]),
    "fragment": ([(f.ETH_TYPE, 0x800), (f.IP_FRAG, 0, 2)], [f.IPV4_SRC]),
    "later": ([(f.ETH_TYPE, 0x86DD), (f.IP_PROTO, 17), (f.IP_FRAG, 3)], [f.IPV6_SRC]),
    "sctp": ([(f.ETH_TYPE, 0x800), (f.IP_PROTO, 132)], [f.SCTP_SRC, f.SCTP_DST]),
    "ct4": (
        [(f.ETH_TYPE, 0x800), VALID, (f.CT_PROTO, 17)],
        [f.CT_IPV4_SRC, f.CT_IPV4_DST, f.CT_TP_SRC, f.CT_TP_DST],
    ),
    "ct6": (
        [(f.ETH_TYPE, 0x86DD), VALID, (f.CT_PROTO, 58)],
        [f.CT_IPV6_SRC, f.CT_IPV6_DST, f.CT_TP_SRC, f.CT_TP_DST],
    ),
    "icmp": ([(f.ETH_TYPE, 0x800), (f.IP_PROTO, 1)], [f.ICMP_TYPE, f.ICMP_CODE]),
    "ns": (
        [(f.ETH_TYPE, 0x86DD), (f.IP_PROTO, 58), (f.ICMP6_TYPE, 135), (f.ICMP6_CODE, 0)],
        [f.ND_TARGET, f.ND_SLL, f.IPV6_SRC],
    ),
    "na": (
        [(f.ETH_TYPE, 0x86DD), (f.IP_PROTO, 58), (f.ICMP6_TYPE, 136), (f.ICMP6_CODE, 0)],
        [f.ND_TARGET, f.ND_TLL],
    ),
}


def value(field: Field, draw: st.DrawFn) -> int:
    if field is f.IN_PORT:
        return draw(st.integers(1, 0xFEFF))
    if field is f.TUN_SRC:
        return draw(st.integers(1, field.ones))
    if field is f.ARP_OP:
        return draw(st.integers(0, 255))
    if field is f.CONJ_ID:
        return draw(st.integers(1, field.ones))
    if field is f.CT_STATE:
        return draw(st.integers(0, 63))
    if field is f.VLAN_VID:
        return 0x1000 | draw(st.integers(0, 4094))
    return draw(st.integers(0, field.ones))


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    fixed, optional = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    terms: list = list(fixed)
    chosen = draw(st.lists(st.sampled_from(FREE + optional), unique=True, max_size=6))
    for field in chosen:
        if field in (term[0] for term in fixed) or _overlaps(field, chosen):
            continue
        number = value(field, draw)
        if field is f.CT_STATE:
            mask = draw(st.integers(1, 63))
            terms.append((field, number & mask, mask))
        elif field.maskable and field is not f.VLAN_VID and draw(st.booleans()):
            mask = draw(st.integers(1, field.ones))
            terms.append((field, number & mask, mask))
        else:
            terms.append((field, number))
    goto = draw(st.sampled_from((None, *TABLES[1:])))
    tables = [t for t in TABLES if goto is None or t.number < goto.number]
    meter = draw(st.sampled_from((None, None, *METERS)))
    done = tuple(draw(st.lists(actions(), max_size=5))) + ip_actions(fixed, draw)
    if draw(st.integers(0, 9)) == 0:
        ids = draw(st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=5, unique=True))
        done, goto = tuple(Conjunction(one, draw(st.integers(1, 2))) for one in ids), None
        meter = None
    return Flow(
        draw(st.sampled_from(tables)),
        draw(st.integers(0, 0xFFFF)),
        match(*terms),
        done,
        goto,
        OWNER_COOKIE | draw(st.integers(0, 2**48 - 1)),
        meter,
    )


def _overlaps(field: Field, chosen: list[Field]) -> bool:
    """Whether *field* is part of a wide register that is chosen too."""
    return any(
        field in f.REGS[4 * number : 4 * number + 4] and wide in chosen
        for number, wide in enumerate(f.XXREGS)
    )


@st.composite
def actions(draw: st.DrawFn):
    writable = [f.IN_PORT, f.TUN_ID, f.TUN_DST, f.ETH_SRC, f.ETH_DST, *f.REGS[:8], *f.XXREGS[2:]]
    kinds = ("set", "load", "move", "output", "resubmit", "choose", "learn", "check")
    kind = draw(st.sampled_from(kinds))
    field = draw(st.sampled_from(writable))
    if kind == "set":
        return SetField(field, 0 if field is f.IN_PORT else draw(st.integers(0, field.ones)))
    if field is f.IN_PORT:
        field = f.TUN_ID
    if kind == "load":
        n = draw(st.integers(1, min(field.bits, 64)))
        offset = draw(st.integers(0, field.bits - n))
        return Load(Bits("", field, offset, n), draw(st.integers(0, (1 << n) - 1)))
    if kind == "move":
        source = draw(st.sampled_from(writable))
        n = draw(st.integers(1, min(field.bits, source.bits)))
        return Move(source, field, n, 0, field.bits - n)
    if kind == "output":
        return Output(draw(st.sampled_from((1, 7, 0xFEFF, OFPP_IN_PORT))))
    if kind == "choose":
        bits = draw(st.sampled_from((f.JUDGED_ZONE, Bits("", f.REGS[7], 16, 16))))
        if draw(st.booleans()):
            fields = draw(st.sampled_from(("symmetric_l3l4+udp", "nw_src")))
            return Multipath(fields, draw(st.integers(1, 65_536)), bits)
        some = draw(st.lists(st.integers(1, 0xFEFF), min_size=1, max_size=5))
        return BundleLoad(tuple(some), bits)
    if kind == "learn":
        return learning(draw)
    if kind == "check":
        bit = draw(st.sampled_from((f.TOO_LARGE, Bits("", f.REGS[7], 31, 1))))
        return CheckLarger(draw(st.integers(1, 0xFFFF)), bit)
    return Resubmit(draw(st.sampled_from((FLOOD, OUTPUT))))


def learning(draw: st.DrawFn) -> Learn:
    families = (
        ((f.ETH_TYPE, 0x800), (f.REGS[4], f.REGS[6])),
        ((f.ETH_TYPE, 0x86DD), (f.XXREGS[2], f.XXREGS[3])),
    )
    terms = ((f.REGS[7], f.REGS[7]), *draw(st.sampled_from(families)))
    loads = draw(st.sampled_from(((), ((f.ETH_DST, f.ETH_SRC),))))
    numbers = [draw(st.integers(0, 0xFFFF)) for _ in range(3)]
    table, cookie = draw(st.sampled_from(TABLES)), draw(st.integers(0, 2**48 - 1))
    return Learn(table, *numbers, cookie, terms, loads, not loads or draw(st.booleans()))


@st.composite
def nats(draw: st.DrawFn, version: int) -> Nat:
    strategy = st.ip_addresses(v=version).filter(int)
    ends = sorted(draw(st.lists(strategy, min_size=1, max_size=2, unique=True)))
    ports = draw(st.none() | st.tuples(st.integers(1, 65_535), st.integers(1, 65_535)))
    found = None if ports is None else (min(ports), max(ports))
    return Nat(draw(st.booleans()), ends[0], ends[1] if ends[1:] else None, found)


def ip_actions(fixed: list, draw: st.DrawFn) -> tuple:
    if VALID in fixed and draw(st.booleans()):
        zone = draw(st.sampled_from((f.JUDGED_ZONE, Bits("", f.REGS[0], 8, 16))))
        copy = Move(f.CT_IPV4_SRC, f.REGS[4], 32)
        if (f.ETH_TYPE, 0x86DD) in fixed:
            copy = Move(f.CT_IPV6_DST, f.XXREGS[2], 128)
        table = draw(st.sampled_from(TABLES))
        commit = Commit(zone, table, draw(st.sampled_from((None, 0, 1, 2, 3))))
        if draw(st.booleans()):
            version = 6 if (f.ETH_TYPE, 0x86DD) in fixed else 4
            commit = Commit(zone, table, nat=draw(nats(version)))
        track = Track(zone, draw(st.sampled_from(TABLES)), draw(st.booleans()))
        return (copy, ClearTracking(), commit, track)
    if (f.ETH_TYPE, 0x800) in fixed and draw(st.booleans()):
        return (DecTtl(), Move(f.IPV4_DST, f.REGS[4], 32), SetField(f.IPV4_SRC, 5))
    if (f.ETH_TYPE, 0x806) in fixed and draw(st.booleans()):
        return (Move(f.ARP_SHA, f.ARP_THA, 48), SetField(f.ARP_OP, 2))
    if (f.ICMP6_TYPE, 135) in fixed and draw(st.booleans()):
        return (Move(f.ND_TARGET, f.XXREGS[2], 128), SetField(f.ND_OPTIONS_TYPE, 2))
    return ()


def nameless(bits: Bits) -> Bits:
    return dataclasses.replace(bits, name="")


def same(one: Flow, other: Flow) -> bool:
    """Equal, but for the names of bits."""

    def plain(flow: Flow) -> tuple:
        shown = [
            dataclasses.replace(a, bits=nameless(a.bits))
            if isinstance(a, Load | BundleLoad | Multipath | CheckLarger)
            else dataclasses.replace(a, zone=nameless(a.zone))
            if isinstance(a, Commit | Track)
            else a
            for a in flow.actions
        ]
        number = None if flow.meter is None else flow.meter.id
        return (flow.key, shown, flow.goto, flow.cookie, number)

    return plain(one) == plain(other)


@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(flows())
def test_what_we_write_is_what_os_ken_reads_and_what_we_read_back(flow: Flow) -> None:
    data = m.add_flow(flow, 77)
    assert same(m.decode_entry(m.entry_of(data)), flow)
    datapath = ofproto_protocol.ProtocolDesc(version=m.VERSION)
    mod = datapath.ofproto_parser.OFPFlowMod.parser(datapath, 5, 14, len(data) - 16, 77, data[16:])
    assert (mod.table_id, mod.priority, mod.cookie) == (
        flow.table.number,
        flow.priority,
        flow.cookie,
    )
    expected = dict(_os_ken_fields(flow))
    assert dict(mod.match.items()).keys() == expected.keys()
    assert len(mod.match.items()) == len(expected)
    metered = [i.meter_id for i in mod.instructions if i.type == 6]
    assert metered == ([] if flow.meter is None else [flow.meter.id])
    applied = [i for i in mod.instructions if i.type == 4]
    assert sum(len(i.actions) for i in applied) == len(flow.actions)
    again = bytearray()
    mod.match.serialize(again, 0)
    assert len(again) == int.from_bytes(data[66:68], "big") + 7 & ~7


UNNAMED = (
    *(f.CT_IPV4_SRC, f.CT_IPV4_DST, f.CT_IPV6_SRC, f.CT_IPV6_DST),
    *(f.CT_PROTO, f.CT_TP_SRC, f.CT_TP_DST),
)
_OS_KEN = {
    "nw_src": "ipv4_src",
    "nw_dst": "ipv4_dst",
    "nw_proto": "ip_proto",
    "tun_id": "tunnel_id",
    "icmp_type": "icmpv4_type",
    "icmp_code": "icmpv4_code",
    "tun_src": "tun_ipv4_src",
    "nd_target": "ipv6_nd_target",
    "nd_sll": "ipv6_nd_sll",
    "nd_tll": "ipv6_nd_tll",
    "nw_frag": "ip_frag",
    # What it has no name for it calls by class and number.
    **{one.name: f"field_{1 << 7 | one.oxm_field}" for one in UNNAMED},
}


def _os_ken_fields(flow: Flow):
    for field, number, mask in flow.match:
        if field in f.XXREGS:
            first = 4 * f.XXREGS.index(field)
            whole = field.ones if mask is None else mask
            for i, shift in enumerate((96, 64, 32, 0)):
                if whole >> shift & 0xFFFFFFFF:
                    yield f"reg{first + i}", number >> shift & 0xFFFFFFFF
        else:
            yield _OS_KEN.get(field.name, field.name), number


class Direct:
    """A bridge's own OpenFlow socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rb")
        self._socket.sendall(hello())
        self.receive()

    def receive(self) -> bytes:
        head = self._file.read(8)
        return head + self._file.read(int.from_bytes(head[2:4], "big") - 8)

    def bundle(self, *messages: bytes) -> list[bytes]:
        """Send one bundle and return the errors that came back."""
        data = m.bundle_control(m.OPEN, 1) + b"".join(messages)
        data += m.bundle_control(m.COMMIT, 2) + m.barrier(3)
        self._socket.sendall(data)
        errors = []
        while (got := self.receive())[1] != m.BARRIER_REPLY:
            if got[1] == m.ERROR:
                errors.append(got)
        return errors

    def meters(self, *wanted: Meter) -> dict[int, Meter]:
        """Make meters, each twice over, and return what there is then."""
        for meter in wanted:
            self._socket.sendall(codec.add_meter(meter, 4) + codec.modify_meter(meter, 5))
        self._socket.sendall(codec.config_request(6))
        got = self.receive()
        validate.check(got)
        return {meter.id: meter for meter in codec.meters(got)}

    def flows(self) -> dict[bytes, bytes]:
        self._socket.sendall(m.flow_stats_request(9))
        found: dict[bytes, bytes] = {}
        more = True
        while more:
            got = self.receive()
            validate.check(got)
            found.update(m.stats_entries(got))
            more = bool(got[11] & 1)
        return found


@pytest.mark.ovs
def test_open_vswitch_lists_exactly_the_bytes_that_we_sent(tmp_path: Path) -> None:
    seen: dict[bytes, bytes] = {}
    with Ovs(tmp_path) as ovs:
        ovs.add_bridge("br", 1, "unix:/nonexistent")
        direct = Direct(tmp_path / "br.mgmt")
        assert direct.meters(*METERS) == dict(zip((5, 262_143), METERS, strict=True))

        @settings(
            max_examples=60,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
        )
        @given(st.lists(flows(), min_size=10, max_size=40))
        def check(some: list[Flow]) -> None:
            assert direct.flows() == {}
            unique = {flow.key: flow for flow in some}
            sent = [m.add_flow(flow, 100 + i) for i, flow in enumerate(unique.values())]
            assert direct.bundle(*sent) == []
            entries = dict(m.entry_of(data) for data in sent)
            listed = direct.flows()
            assert listed == entries, _difference(listed, entries)
            gone = [m.delete_entry(m.StatsEntry(*item), 5000) for item in listed.items()]
            assert direct.bundle(*gone) == []
            assert direct.flows() == {}
            seen.update(entries)

        check()
    assert len(seen) > 100


@pytest.mark.ovs
def test_open_vswitch_takes_what_is_compiled_in_the_form_it_has_on_the_wire(tmp_path: Path) -> None:
    flows = [flow._replace(meter=None) for one in compile_host(example(), HERE) for flow in one]
    sent = [m.add_flow(flow, 100 + i) for i, flow in enumerate(flows)]
    with Ovs(tmp_path) as ovs:
        ovs.add_bridge("br", 1, "unix:/nonexistent")
        direct = Direct(tmp_path / "br.mgmt")
        assert direct.bundle(*sent) == []
        entries = dict(m.entry_of(data) for data in sent)
        assert direct.flows() == entries, _difference(direct.flows(), entries)


def _difference(listed: dict[bytes, bytes], sent: dict[bytes, bytes]) -> str:
    wrong = [
        f"{m.decode_entry(m.StatsEntry(key, data))}: sent {data.hex()} listed "
        f"{listed.get(key, b'').hex()}; key {key.hex()}"
        for key, data in sent.items()
        if listed.get(key) != data
    ]
    return "\n".join(wrong[:2] + [key.hex() for key in listed if key not in sent][:2])


@pytest.mark.ovs
def test_nothing_without_our_mark_is_listed_or_deleted(tmp_path: Path) -> None:
    with Ovs(tmp_path) as ovs:
        ovs.add_bridge("br", 1, "unix:/nonexistent")
        ovs.ofctl("add-flow", "br", "table=5,priority=7,cookie=0x1,ip actions=drop")
        direct = Direct(tmp_path / "br.mgmt")
        assert direct.flows() == {}
        flow = Flow(TABLES[1], 7, match((f.ETH_TYPE, 0x800)), (), None, OWNER_COOKIE)
        assert flow.table.number == 5
        assert direct.bundle(m.delete_flow(flow, 50)) == []
        assert len(ovs.flows("br")) == 1


def test_a_flow_longer_than_a_message_is_refused_by_name() -> None:
    flow = Flow(FLOOD, 1, (), tuple(Output(1) for _ in range(5000)), None, OWNER_COOKIE)
    with pytest.raises(m.EncodeError, match="Flood"):
        m.add_flow(flow, 1)


def test_struct_sizes() -> None:
    data = m.add_flow(Flow(TABLES[0], 1, (), (), None, OWNER_COOKIE), 1)
    assert len(data) == 16 + 48 + 8
    assert struct.unpack_from("!H", data, 2)[0] == len(data)
    assert ofproto_parser is not None
