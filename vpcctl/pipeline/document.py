"""Keeps the pipeline's document true: its declarations and dumps come from here.

``python -m vpcctl.pipeline.document docs/pipeline.md`` rewrites what stands between the markers
``<!-- table NAME -->`` and ``<!-- end -->``; the rest is written by hand.
"""

import re
import sys
from pathlib import Path

from vpcctl.flows import fields as f
from vpcctl.flows.fields import Field
from vpcctl.flows.flow import Flow
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import BY_NAME, TABLES, Table
from vpcctl.flows.text import format_flow
from vpcctl.model.network import Network
from vpcctl.pipeline.example import HERE, example
from vpcctl.pipeline.flood import SHARDS
from vpcctl.pipeline.pieces import (
    BasePiece,
    EdgePiece,
    LocalFloodPiece,
    PairMacPiece,
    PairPiece,
    PeerPiece,
    Piece,
    PortPiece,
    RemoteFloodPiece,
    StaticPiece,
    SubnetPiece,
)
from vpcctl.pipeline.program import compile_piece

_BLOCK = re.compile(r"(<!-- (\w+) ?(\w*) -->\n).*?(<!-- end -->)", re.DOTALL)
_REGISTERS: tuple[tuple[Field, str, str], ...] = (
    (f.SOURCE_PORT, "source port", "key of the port that sent the packet; 0 from the tunnel"),
    (f.DEST_PORT, "destination port", "key of the port to deliver to; 0 for a copy to a host"),
    (f.VNI, "VNI", "the subnet that the packet is in; routing changes it"),
    (f.VPC, "VPC", "key of the VPC, for routing"),
    (f.LOOKUP_IPV4, "IPv4 looked up", "whose MAC Neighbour looks for"),
    (f.FLAGS, "flags", "see below"),
    (f.REASON, "reason", "why the packet is dropped"),
    (f.LOOKUP_IPV6, "IPv6 looked up", "reg8 to reg11: whose MAC Neighbour looks for"),
    (f.FOUND_MAC, "MAC found", "reg12 to reg15, the low 48 bits"),
)
_FLAGS = (f.FROM_TUNNEL, f.IS_ARP, f.IS_ND, f.ROUTED, f.RELAYED, f.FLOOD_STAGE, f.FLOOD_CHUNK)


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
        for shard in range(SHARDS):
            pieces.append(LocalFloodPiece(host_id, subnet_id, shard))
            pieces.append(RemoteFloodPiece(subnet_id, shard))
        pieces += [PairPiece(subnet_id, ip) for ip in segment.pairs]
        pieces += [PairMacPiece(subnet_id, mac) for mac in segment.pair_macs]
    for port_id in net.ports:
        pieces += [PortPiece(port_id), EdgePiece(host_id, port_id)]
    return pieces


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
    ordered = sorted(fields, key=lambda field: field.order)
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
