"""``vpcctl address-group``."""

from dataclasses import dataclass
from typing import Annotated

import typer

from vpcctl.cli.client import path_of
from vpcctl.cli.options import (
    Changes,
    Description,
    Filters,
    ItsTenant,
    Name,
    Reference,
    Waiting,
    command,
    given,
)
from vpcctl.cli.render import Column, print_item, print_items
from vpcctl.cli.resources import add_delete, add_show, client_of, state_of

app = typer.Typer(no_args_is_help=True, help="Address groups: blocks that rules name as one.")

COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name", whole=False),
    Column("TENANT", "tenant_id", whole=False),
    Column("CIDRS", "cidr_count"),
    Column("STATE", state_of),
)
Blocks = Annotated[
    list[str], typer.Argument(metavar="CIDR…", help="Blocks or addresses of either family.")
]


@dataclass(frozen=True, slots=True)
class Values(Description):
    """Further values of a new address group."""

    cidr: Annotated[
        list[str] | None, typer.Option(metavar="CIDR", help="A block or address; repeatable.")
    ] = None
    tenant: ItsTenant = None


@app.command("list")
@command
def list_(
    context: typer.Context,
    filters: Filters,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
) -> None:
    """List address groups."""
    found = client_of(context).items(path_of("ag"), filters.query(tenant_id=tenant))
    print_items(found, COLUMNS, filters.output)


add_show(app, "ag")


@app.command()
@command
def create(context: typer.Context, name: Name, values: Values, waiting: Waiting) -> None:
    """Create an address group."""
    body = values.body(name) | given(cidrs=values.cidr, tenant_id=values.tenant)
    client = client_of(context, patience_s=waiting.timeout)
    print_item(client.create(path_of("ag"), body, waiting.query), waiting.output)


@app.command("set")
@command
def set_(
    context: typer.Context,
    reference: Reference,
    changes: Changes,
    waiting: Waiting,
    cidr: Annotated[
        list[str] | None,
        typer.Option(metavar="CIDR", help="The blocks, all of them; repeatable; '' for none."),
    ] = None,
) -> None:
    """Change an address group: its name, description, tags or blocks."""
    client = client_of(context, patience_s=waiting.timeout)
    cidrs = None if cidr is None else [block for block in cidr if block]
    body = changes.body() | given(cidrs=cidrs)
    path = path_of("ag", client.resolve("ag", reference))
    print_item(client.change(path, body, waiting.query), waiting.output)


@app.command()
@command
def add(context: typer.Context, reference: Reference, cidr: Blocks, waiting: Waiting) -> None:
    """Add blocks to an address group: all, or none."""
    client = client_of(context, patience_s=waiting.timeout)
    path = path_of("ag", client.resolve("ag", reference))
    print_item(client.create(f"{path}/cidrs", {"cidrs": cidr}, waiting.query), waiting.output)


@app.command()
@command
def remove(context: typer.Context, reference: Reference, cidr: Blocks, waiting: Waiting) -> None:
    """Take blocks out of an address group: all, or none."""
    client = client_of(context, patience_s=waiting.timeout)
    path = path_of("ag", client.resolve("ag", reference))
    client.delete(f"{path}/cidrs", {**waiting.query, "cidr": cidr})
    print_item(client.get(path), waiting.output)


add_delete(app, "ag")
