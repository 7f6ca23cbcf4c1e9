"""Keeps the pipeline's document true: its declarations and dumps come from here.

``python -m vpcctl.pipeline.document docs/pipeline.md`` rewrites what stands between the markers
``<!-- table NAME -->`` and ``<!-- end -->``; the rest is written by hand.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from vpcctl.flows import fields as f
from vpcctl.flows.fields import Field
from vpcctl.flows.flow import Flow
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import BY_NAME, TABLES, Table
from vpcctl.flows.text import format_flow
from vpcctl.model.addresses import block_of, link_local
from vpcctl.model.network import Network
from vpcctl.model.residents import Residents
from vpcctl.pipeline.example import HERE, example
from vpcctl.pipeline.flood import SHARDS
from vpcctl.pipeline.pieces import (
    AclPiece,
    BasePiece,
    EdgePiece,
    EipPiece,
    GatewayPiece,
    GlobalPiece,
    GroupPiece,
    LocalFloodPiece,
    MemberPiece,
    OnLinkMemberPiece,
    OutsidePiece,
    PairMacPiece,
    PairPiece,
    PeerPiece,
    Piece,
    PortPiece,
    RemoteFloodPiece,
    RouteTablePiece,
    StaticPiece,
    SubnetPiece,
    VpcPairPiece,
    VpcPiece,
)
from vpcctl.pipeline.program import compile_piece

_BLOCK = re.compile(r"(<!-- (\w+) ?(\w*) -->\n).*?(<!-- end -->)", re.DOTALL)
_REGISTERS: tuple[tuple[Field, str, str], ...] = (
    (f.SOURCE_PORT, "source port", "key of the port that sent the packet; 0 from the tunnel"),
    (f.DEST_PORT, "destination port", "key of the port to deliver to; 0 for a copy to a host"),
    (f.VNI, "VNI", "the subnet that the packet is in; routing changes it"),
    (f.VPC, "VPC", "key of the VPC, for routing"),
    (f.LOOKUP_IPV4, "IPv4 looked up", "whose MAC Neighbour looks for, or whose groups Remote"),
    (f.FLAGS, "flags", "see below"),
    (f.REASON, "reason", "why the packet is dropped"),
    (f.FLOOD_NODE, "flood node", "the branch of local members that Flood is at"),
    (f.ROUTE_TABLE, "route table", "key of the one that is asked: in Routes"),
    (f.OUTSIDE, "outside", "key of the external network that a packet is from or for"),
    (f.LOOKUP_IPV6, "IPv6 looked up", "reg8 to reg11: the same"),
    (f.FOUND_MAC, "MAC found", "reg12 to reg15, the low 48 bits: from Neighbour to Respond"),
    (f.GROUP, "group, or ACL", "key of the one that is asked: in filters, as are the next two"),
    (f.CELL, "cell", "which of the group's cells the packet is in; kind of a guest's question"),
    (f.JUDGED, "judged", "see below"),
)
_FLAGS = (
    *(
        f.FROM_TUNNEL,
        f.IS_ARP,
        f.IS_ND,
        f.ROUTED,
        f.RELAYED,
        f.PICKED,
        f.SIZED,
        f.METERED,
        f.FLOOD_STAGE,
        f.FLOOD_CHUNK,
        f.TOO_LARGE,
        f.HANDED_ON,
    ),
    *(f.CHOICE, f.BLOCKS_ONLY, f.JUDGED_ZONE, f.EGRESS_RULES, f.PLAIN, f.STATELESS, f.HONOUR_MARK),
    *(f.ALLOWED, f.KEPT, f.HELD, f.ACL_OUT_ASKED, f.ACL_IN_ASKED, f.KEPT_MARK, f.KNOWN_MARK),
)


def render(text: str) -> str:
    """Return *text* with everything between markers generated anew.

    Raises:
        KeyError: a marker names no table or no such block.
    """
    flows = _flows(example(), HERE)

    def block(found: re.Match[str]) -> str:
        kind, name = found[2], found[3]
        inner = _table(BY_NAME[name], flows) if kind == "table" else _BLOCKS[kind]()
        return f"{found[1]}{inner}\n{found[4]}"

    return _BLOCK.sub(block, text)


def _flows(net: Network, host_id: str) -> list[Flow]:
    return [flow for piece in _pieces(net, host_id) for flow in compile_piece(net, piece)]


def _pieces(net: Network, host_id: str) -> list[Piece]:
    pieces: list[Piece] = [StaticPiece(), BasePiece(host_id)]
    pieces += [PeerPiece(other) for other in net.hosts if other != host_id]
    for subnet_id, segment in net.segments.items():
        pieces.append(SubnetPiece(subnet_id))
        here = segment.placed.get(host_id, Residents())
        pieces += [LocalFloodPiece(host_id, subnet_id, *position) for position in here.branches()]
        for shard in range(SHARDS):
            pieces.append(RemoteFloodPiece(subnet_id, shard))
        pieces += [PairPiece(subnet_id, ip) for ip in segment.pairs]
        pieces += [PairMacPiece(subnet_id, mac) for mac in segment.pair_macs]
    for port_id in net.ports:
        pieces += [PortPiece(port_id), EdgePiece(host_id, port_id)]
    pieces += [*map(GroupPiece, net.groups), *map(AclPiece, net.acls), *_members(net)]
    return [*pieces, *_outward(net, host_id)]


def _outward(net: Network, host_id: str) -> Iterator[Piece]:
    yield from map(VpcPiece, net.vpcs)
    for subnet_id, segment in net.segments.items():
        vpc_id = net.vpc_of(subnet_id)
        yield from (VpcPairPiece(vpc_id, ip) for ip in segment.pairs if vpc_id is not None)
    yield from map(RouteTablePiece, net.outside.tables)
    for gateway_id in (*net.outside.internet, *net.outside.nats):
        yield GatewayPiece(host_id, gateway_id)
    yield from (EipPiece(host_id, eip_id) for eip_id in net.outside.eips)
    yield from (GlobalPiece(host_id, port_id) for port_id in net.ports)
    yield from (OutsidePiece(host_id, network_id) for network_id in net.outside.networks)


def _members(net: Network) -> Iterator[Piece]:
    for vpc_id, holders in net.membership.holders.items():
        yield from (MemberPiece(vpc_id, block_of(ip)) for ip in holders.claimed())
        for group_id in net.membership.address_groups.get(vpc_id, ()):
            yield from (MemberPiece(vpc_id, one) for one in net.membership.blocks[group_id])
    for subnet_id, segment in net.segments.items():
        yield from (OnLinkMemberPiece(subnet_id, link_local(mac)) for mac in segment.macs.claimed())


def _table(table: Table, flows: list[Flow]) -> str:
    mine = [flow for flow in flows if flow.table is table]
    mine.sort(key=lambda flow: (-flow.priority, format_flow(flow, cookie=False)))
    lines = "\n".join(format_flow(flow, cookie=False) for flow in mine)
    return (
        f"{table.purpose}\n\n"
        f"Number {table.number}; reads {_names(table.reads)}; writes {_names(table.writes)}; "
        f"leads to {', '.join(table.successors) or 'nowhere'}.\n\n"
        f"```text\n{lines}\n```"
    )


def _names(fields: frozenset[Field]) -> str:
    ordered = sorted(fields, key=lambda field: (field.order, field.name))
    return ", ".join(f"`{field.name}`" for field in ordered) or "nothing"


def _tables() -> str:
    rows = "\n".join(f"| {t.number} | {t.name} | {t.stage} | {t.purpose} |" for t in TABLES)
    return f"| Number | Table | Stage | Purpose |\n| --- | --- | --- | --- |\n{rows}"


def _registers() -> str:
    rows = [f"| `{field.name}` | {name} | {what} |" for field, name, what in _REGISTERS]
    rows += [
        f"| `{one.field.name}[{one.offset}..{one.offset + one.n_bits - 1}]` | {one.name} | flag |"
        for one in _FLAGS
    ]
    return "| Register | Name | Holds |\n| --- | --- | --- |\n" + "\n".join(rows)


def _reasons() -> str:
    rows = "\n".join(f"| {reason:d} | {reason.text} |" for reason in Reason)
    return f"| Number | Reason |\n| --- | --- |\n{rows}"


_BLOCKS = {"tables": _tables, "registers": _registers, "reasons": _reasons}


def main() -> None:
    """Rewrite the file named on the command line."""
    path = Path(sys.argv[1])
    path.write_text(render(path.read_text()))


if __name__ == "__main__":
    main()
