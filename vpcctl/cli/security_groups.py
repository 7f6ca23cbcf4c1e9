"""``vpcctl sg``."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from vpcctl.cli import group_rules
from vpcctl.cli.client import path_of
from vpcctl.cli.options import (
    Changes,
    Description,
    ItsVpc,
    Name,
    Reference,
    Waiting,
    command,
    given,
)
from vpcctl.cli.render import Column, Format, Json, print_parts
from vpcctl.cli.resources import (
    InVpc,
    add_delete_of_vpc,
    add_list_of_vpc,
    add_show_of_vpc,
    client_of,
    state_of,
)

app = typer.Typer(no_args_is_help=True, help="Security groups: what ports may send and get.")
app.add_typer(group_rules.app, name="rule")

COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name", whole=False),
    Column("VPC", "vpc_id"),
    Column("RULES", "rule_count"),
    Column("STATEFUL", "stateful"),
    Column("ESTABLISHED", "established"),
    Column("STATE", state_of),
)


class Established(StrEnum):
    """What becomes of connections that only a removed rule had allowed."""

    REVOKE = "revoke"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a group treats connections."""

    stateful: Annotated[
        bool | None,
        typer.Option("--stateful/--stateless", help="Let answers pass, or judge each packet."),
    ] = None
    established: Annotated[
        Established | None,
        typer.Option(help="What only a removed rule had allowed ends at once, or is kept."),
    ] = None

    def fields(self) -> Json:
        """Return the fields that the options set."""
        return given(
            stateful=self.stateful,
            established=None if self.established is None else str(self.established),
        )


def print_group(item: Json, output: Format) -> None:
    """Print a group: its fields, then its rules as a table."""
    print_parts(item, "rules", group_rules.COLUMNS, output)


add_list_of_vpc(app, "sg", COLUMNS)
add_show_of_vpc(app, "sg", "Show a security group with its rules.", print_group)


@app.command()
@command
def create(
    context: typer.Context,
    name: Name,
    vpc: ItsVpc,
    values: Description,
    behaviour: Behaviour,
    waiting: Waiting,
) -> None:
    """Create a security group; it allows nothing until it is given rules."""
    client = client_of(context, patience_s=waiting.timeout)
    body = values.body(name) | behaviour.fields() | {"vpc_id": client.resolve("vpc", vpc)}
    print_group(client.create(path_of("sg"), body, waiting.query), waiting.output)


@app.command("set")
@command
def set_(
    context: typer.Context,
    reference: Reference,
    changes: Changes,
    behaviour: Behaviour,
    within: InVpc,
    waiting: Waiting,
) -> None:
    """Change a security group but for its rules."""
    client = client_of(context, patience_s=waiting.timeout)
    path = within.find(client, "sg", reference)
    body = changes.body() | behaviour.fields()
    print_group(client.change(path, body, waiting.query), waiting.output)


add_delete_of_vpc(
    app, "sg", "Delete a security group that no port is in and no other group's rule names."
)
