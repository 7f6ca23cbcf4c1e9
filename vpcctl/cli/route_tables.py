"""``vpcctl route-table``."""

import typer

from vpcctl.cli.client import path_of
from vpcctl.cli.options import (
    Description,
    ItsVpc,
    Name,
    Reference,
    Waiting,
    command,
)
from vpcctl.cli.render import Column, Format, Json, lines, print_parts
from vpcctl.cli.resources import (
    InVpc,
    add_delete_of_vpc,
    add_list_of_vpc,
    add_set_of_vpc,
    add_show_of_vpc,
    client_of,
    state_of,
)

app = typer.Typer(no_args_is_help=True, help="Route tables: where packets go that leave their VPC.")

COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name", whole=False),
    Column("VPC", "vpc_id"),
    Column("MAIN", "main"),
    Column("ROUTES", "route_count"),
    Column("SUBNETS", "subnet_count"),
    Column("STATE", state_of),
)
ROUTE_COLUMNS = (
    Column("DESTINATION", "destination"),
    Column("TARGET", lambda route: lines(_targets(route)) if route["targets"] else "blackhole"),
    Column("DESCRIPTION", "description", whole=False),
)


def _targets(route: Json) -> list[str]:
    """Return a route's targets, with why those are dead that are."""
    return [
        one["id"] if one["reason"] is None else f"{one['id']} (dead: {one['reason']})"
        for one in route["target_states"]
    ]


def print_table(item: Json, output: Format) -> None:
    """Print a route table: its fields, then its routes as a table."""
    print_parts(item, "routes", ROUTE_COLUMNS, output)


add_list_of_vpc(app, "rtb", COLUMNS)
add_show_of_vpc(app, "rtb", "Show a route table with its routes.", print_table)


@app.command()
@command
def create(
    context: typer.Context,
    name: Name,
    vpc: ItsVpc,
    values: Description,
    waiting: Waiting,
) -> None:
    """Create a route table; nothing leaves the VPC by it until it is given routes."""
    client = client_of(context, patience_s=waiting.timeout)
    body = values.body(name) | {"vpc_id": client.resolve("vpc", vpc)}
    print_table(client.create(path_of("rtb"), body, waiting.query), waiting.output)


add_set_of_vpc(app, "rtb", "Change a route table but for its routes.", print_table)


@app.command("main")
@command
def main_(context: typer.Context, reference: Reference, within: InVpc, waiting: Waiting) -> None:
    """Make a route table the main one of its VPC: that of all subnets that name none.

    The one that was main stays as it is, and may be deleted.
    """
    client = client_of(context, patience_s=waiting.timeout)
    path = within.find(client, "rtb", reference)
    print_table(client.change(path, {"main": True}, waiting.query), waiting.output)


add_delete_of_vpc(app, "rtb")
