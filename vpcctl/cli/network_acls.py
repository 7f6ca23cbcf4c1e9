"""``vpcctl nacl``."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from vpcctl.cli import traffic
from vpcctl.cli.client import path_of
from vpcctl.cli.errors import CliError
from vpcctl.cli.options import (
    Changes,
    Description,
    ItsVpc,
    Name,
    Output,
    Reference,
    Waiting,
    command,
    given,
)
from vpcctl.cli.render import Column, Format, Json, print_items, print_json, print_parts
from vpcctl.cli.resources import add_delete, add_list_of_vpc, client_of, state_of

app = typer.Typer(
    no_args_is_help=True, help="Network ACLs: what may be routed into and out of subnets."
)
entries = typer.Typer(no_args_is_help=True, help="Entries of network ACLs, decided in order.")
app.add_typer(entries, name="entry")

COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name", whole=False),
    Column("VPC", "vpc_id"),
    Column("ENTRIES", "entry_count"),
    Column("STATE", state_of),
)
ENTRY_COLUMNS = (
    Column("DIRECTION", "direction"),
    Column("NUMBER", "number"),
    Column("ACTION", "action"),
    Column("TRAFFIC", traffic.show),
    Column("REMOTE", "cidr"),
    Column("DESCRIPTION", "description", whole=False),
)

Acl = Annotated[
    str, typer.Argument(metavar="ACL", help="The network ACL: its id, or its unique name.")
]
Number = Annotated[
    int, typer.Argument(metavar="NUMBER", help="1 to 32766; the lowest that matches decides.")
]


class Action(StrEnum):
    """What becomes of a packet."""

    ALLOW = "allow"
    DENY = "deny"


class Direction(StrEnum):
    """As seen from the subnet."""

    INGRESS = "ingress"
    EGRESS = "egress"


@dataclass(frozen=True, slots=True)
class Matched:
    """What an entry is about."""

    ingress: Annotated[
        str | None,
        typer.Option(metavar="TRAFFIC", help=f"What enters the subnet: {traffic.HELP}"),
    ] = None
    egress: Annotated[
        str | None, typer.Option(metavar="TRAFFIC", help="What leaves it, said alike.")
    ] = None
    from_: Annotated[
        str | None, typer.Option("--from", metavar="CIDR", help="Who sends it, with --ingress.")
    ] = None
    to: Annotated[str | None, typer.Option(metavar="CIDR", help="Who gets it, with --egress.")] = (
        None
    )
    description: Annotated[str | None, typer.Option(help="A sentence about it.")] = None

    @property
    def direction(self) -> str:
        """The direction that the options say.

        Raises:
            CliError: none is said, or both.
        """
        if (self.ingress is None) == (self.egress is None):
            raise CliError("entry: give --ingress or --egress")
        return "egress" if self.ingress is None else "ingress"

    def fields(self) -> Json:
        """Return the fields but for number, direction and action.

        Raises:
            CliError: the other side's addresses are not said, or for the other direction.
        """
        direction = self.direction
        ours, theirs = self.from_, self.to
        if direction == "egress":
            ours, theirs = theirs, ours
        if theirs is not None or ours is None:
            raise CliError("entry: --ingress needs --from CIDR, --egress needs --to CIDR")
        text = self.ingress or self.egress or ""
        described = given(description=self.description)
        return traffic.parse(f"--{direction}", text) | {"cidr": ours} | described


add_list_of_vpc(app, "nacl", COLUMNS)


@app.command()
@command
def show(context: typer.Context, reference: Reference, output: Output) -> None:
    """Show a network ACL with its entries."""
    client = client_of(context)
    print_acl(client.get(path_of("nacl", client.resolve("nacl", reference))), output.output)


@app.command()
@command
def create(
    context: typer.Context,
    name: Name,
    vpc: ItsVpc,
    values: Description,
    waiting: Waiting,
) -> None:
    """Create a network ACL; it drops everything until it is given entries."""
    client = client_of(context, patience_s=waiting.timeout)
    body = values.body(name) | {"vpc_id": client.resolve("vpc", vpc)}
    print_acl(client.create(path_of("nacl"), body, waiting.query), waiting.output)


@app.command("set")
@command
def set_(context: typer.Context, reference: Reference, changes: Changes, waiting: Waiting) -> None:
    """Change a network ACL but for its entries."""
    client = client_of(context, patience_s=waiting.timeout)
    path = path_of("nacl", client.resolve("nacl", reference))
    print_acl(client.change(path, changes.body(), waiting.query), waiting.output)


add_delete(app, "nacl")


@entries.command()
@command
def add(
    context: typer.Context,
    acl: Acl,
    number: Number,
    action: Action,
    matched: Matched,
    waiting: Waiting,
) -> None:
    """Add an entry; its number must be free.

    For example: vpcctl nacl entry add edge 100 allow --ingress tcp/443 --from 0.0.0.0/0
    """
    body = {"number": number, "direction": matched.direction, "action": str(action)}
    body |= matched.fields()
    client = client_of(context, patience_s=waiting.timeout)
    path = path_of("nacl", client.resolve("nacl", acl))
    print_acl(client.create(f"{path}/entries", body, waiting.query), waiting.output)


@entries.command("set")
@command
def put(
    context: typer.Context,
    acl: Acl,
    number: Number,
    action: Action,
    matched: Matched,
    waiting: Waiting,
) -> None:
    """Replace the entry with this direction and number, or add it."""
    body = {"action": str(action)} | matched.fields()
    client = client_of(context, patience_s=waiting.timeout)
    path = path_of("nacl", client.resolve("nacl", acl))
    place = f"{path}/entries/{matched.direction}/{number}"
    print_acl(client.put(place, body, waiting.query), waiting.output)


@entries.command("list")
@command
def list_entries(context: typer.Context, acl: Acl, output: Output) -> None:
    """List a network ACL's entries, by direction and number."""
    client = client_of(context)
    item = client.get(path_of("nacl", client.resolve("nacl", acl)))
    print_items(item["entries"], ENTRY_COLUMNS, output.output)


@entries.command("delete")
@command
def delete_entry(
    context: typer.Context, acl: Acl, direction: Direction, number: Number, waiting: Waiting
) -> None:
    """Delete an entry."""
    client = client_of(context, patience_s=waiting.timeout)
    acl_id = client.resolve("nacl", acl)
    place = f"{path_of('nacl', acl_id)}/entries/{direction}/{number}"
    revision = client.delete(place, waiting.query)
    if waiting.output is Format.JSON:
        said = {"id": acl_id, "direction": str(direction), "number": number}
        print_json({**said, "deleted": True, "revision": revision})
    else:
        print(f"{direction} entry {number} of {acl_id} deleted")


def print_acl(item: Json, output: Format) -> None:
    """Print an ACL: its fields, then its entries as a table."""
    print_parts(item, "entries", ENTRY_COLUMNS, output)
