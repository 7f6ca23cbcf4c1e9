"""``vpcctl port counters``."""

import typer

from vpcctl.cli.options import Output, Reference, command
from vpcctl.cli.render import Column, Format, Json, print_items, print_json
from vpcctl.cli.resources import InVpc, client_of

COLUMNS = (
    Column("DIRECTION", "direction"),
    Column("WHAT", "what"),
    Column("PACKETS", "packets"),
    Column("BYTES", "bytes"),
)
RULE_COLUMNS = (
    Column("RULE", "id"),
    Column("GROUP", "group_id"),
    Column("PACKETS", "packets"),
    Column("BYTES", "bytes"),
)


@command
def counters(context: typer.Context, reference: Reference, within: InVpc, output: Output) -> None:
    """Show what passed at a port, what was dropped and why, and what its rules let pass."""
    client = client_of(context)
    found = client.get(f"{within.find(client, 'port', reference)}/counters")
    if output.output is Format.JSON:
        print_json(found)
        return
    print(f"{found['port_id']} on {found['host_id']}\n")
    print_items([*_side(found, "egress"), *_side(found, "ingress")], COLUMNS, output.output)
    if found["rules"]:
        print()
        print_items(found["rules"], RULE_COLUMNS, output.output)


def _side(found: Json, direction: str) -> list[Json]:
    """Return the lines of one direction: what passed, then the reasons that occurred."""
    side = found[direction]
    dropped = [line for line in side["dropped"] if line["packets"]]
    return [
        {"direction": direction, "what": "allowed", **side["allowed"]},
        *({**line, "direction": direction, "what": line["reason"]} for line in dropped),
    ]
