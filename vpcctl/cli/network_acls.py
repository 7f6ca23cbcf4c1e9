"""``vpcctl nacl``."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from vpcctl.cli import traffic
from vpcctl.cli.client import path_of
from vpcctl.cli.errors import CliError
from vpcctl.cli.options import (
    Description,
    ItsVpc,
    Name,
    Output,
    Waiting,
    command,
    given,
)
from vpcctl.cli.render import (
    Column,
    Format,
    Json,
    print_items,
    print_json,
    print_parts,
)
from vpcctl.cli.resources import (
    InVpc,
    add_delete_of_vpc,
    add_list_of_vpc,
    add_set_of_vpc,
    add_show_of_vpc,
    client_of,
    state_of,
)

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


_DIRECTIONS = ("ingress", "egress")


@dataclass(frozen=True, slots=True)
class Entry:
    """Which entry of an ACL is meant."""

    place: Annotated[
        list[str],
        typer.Argument(
            metavar="[ingress|egress] NUMBER",
            help="Its number, after `ingress` or `egress`, or with --ingress or --egress.",
        ),
    ]
    ingress: Annotated[
        bool | None,
        typer.Option("--ingress/--egress", help="The direction, as seen from the subnet."),
    ] = None

    def find(self) -> tuple[str, int]:
        """Return the direction and number, in whichever order they are said.

        Raises:
            CliError: one of them is not said, or twice.
        """
        said = [word for word in self.place if word in _DIRECTIONS]
        numbers = [word for word in self.place if word not in _DIRECTIONS]
        if self.ingress is not None:
            said.append("ingress" if self.ingress else "egress")
        if len(set(said)) != 1 or len(numbers) != 1 or not numbers[0].isdecimal():
            accepted = "NUMBER with --ingress or --egress, or ingress NUMBER, or egress NUMBER"
            raise CliError(f"entry: one direction and one number; accepted: {accepted}")
        return said[0], int(numbers[0])


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
        str | None,
        typer.Option(
            "--from",
            metavar="CIDR",
            help="Who sends it, with --ingress; any: everybody, with icmp or icmpv6.",
        ),
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
        if self.ingress is not None and self.egress is not None:
            raise CliError("entry: give --ingress or --egress: one of them, not both")
        if self.ingress is None and self.egress is None:
            raise CliError("entry: give --ingress or --egress")
        return "egress" if self.ingress is None else "ingress"

    def fields(self) -> Json:
        """Return the fields but for number, direction and action.

        Raises:
            CliError: the other side's addresses are not said, or for the other direction.
        """
        direction, option = self.direction, "--from"
        ours, theirs = self.from_, self.to
        if direction == "egress":
            ours, theirs, option = theirs, ours, "--to"
        if theirs is not None or ours is None:
            raise CliError("entry: --ingress needs --from CIDR, --egress needs --to CIDR")
        text = self.ingress or self.egress or ""
        fields = traffic.parse(f"--{direction}", text)
        fields["cidr"] = _block(option, ours, fields["protocol"])
        return fields | given(description=self.description)

    @property
    def names(self) -> dict[str, str]:
        """The options and arguments that an entry's fields come from."""
        block = {"ingress": "--from", "egress": "--to"}[self.direction]
        return traffic.names(self.direction) | {"cidr": block}


def _block(option: str, text: str, protocol: str) -> str:
    """Return the block that *text* says; any is everybody, where the protocol says the family.

    Raises:
        CliError: it is no block, or any and could be either family's.
    """
    each = "0.0.0.0/0 for all of IPv4, ::/0 for all of IPv6"
    if text.lower() != "any":
        return traffic.parse_block(option, text, each)
    if protocol in ("icmp", "1"):
        return "0.0.0.0/0"
    if protocol in ("icmpv6", "58"):
        return "::/0"
    raise CliError(f"{option}: an entry is for one family; accepted: {each}")


def print_acl(item: Json, output: Format) -> None:
    """Print an ACL: its fields, then its entries as a table."""
    print_parts(item, "entries", ENTRY_COLUMNS, output)


add_list_of_vpc(app, "nacl", COLUMNS)
add_show_of_vpc(app, "nacl", "Show a network ACL with its entries.", print_acl)


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


add_set_of_vpc(app, "nacl", "Change a network ACL but for its entries.", print_acl)
add_delete_of_vpc(app, "nacl", "Delete a network ACL that no subnet has.")


@entries.command()
@command
def add(
    context: typer.Context,
    acl: Acl,
    number: Number,
    action: Action,
    matched: Matched,
    within: InVpc,
    waiting: Waiting,
) -> None:
    """Add an entry; its number must be free.

    For example: vpcctl nacl entry add edge 100 allow --ingress tcp/443 --from 0.0.0.0/0
    """
    body = {"number": number, "direction": matched.direction, "action": str(action)}
    body |= matched.fields()
    client = client_of(context, patience_s=waiting.timeout)
    path = within.find(client, "nacl", acl)
    made = client.create(f"{path}/entries", body, waiting.query, matched.names)
    print_acl(made, waiting.output)


@entries.command("set")
@command
def put(
    context: typer.Context,
    acl: Acl,
    number: Number,
    action: Action,
    matched: Matched,
    within: InVpc,
    waiting: Waiting,
) -> None:
    """Replace the entry with this direction and number, or add it."""
    body = {"action": str(action)} | matched.fields()
    client = client_of(context, patience_s=waiting.timeout)
    path = within.find(client, "nacl", acl)
    place = f"{path}/entries/{matched.direction}/{number}"
    print_acl(client.put(place, body, waiting.query, matched.names), waiting.output)


@entries.command("list")
@command
def list_entries(context: typer.Context, acl: Acl, within: InVpc, output: Output) -> None:
    """List a network ACL's entries, by direction and number."""
    client = client_of(context)
    item = client.get(within.find(client, "nacl", acl))
    print_items(item["entries"], ENTRY_COLUMNS, output.output)


@entries.command("delete")
@command
def delete_entry(
    context: typer.Context, acl: Acl, entry: Entry, within: InVpc, waiting: Waiting
) -> None:
    """Delete an entry.

    For example: vpcctl nacl entry delete edge 100 --ingress
    """
    direction, number = entry.find()
    client = client_of(context, patience_s=waiting.timeout)
    acl_id = within.resolve(client, "nacl", acl)
    place = f"{path_of('nacl', acl_id)}/entries/{direction}/{number}"
    revision = client.delete(place, waiting.query)
    if waiting.output is Format.JSON:
        said = {"id": acl_id, "direction": direction, "number": number}
        print_json({**said, "deleted": True, "revision": revision})
    else:
        print(f"{direction} entry {number} of {acl_id} deleted")
