"""``vpcctl internet-gateway``."""

from typing import Annotated

import typer

from vpcctl.cli.client import path_of
from vpcctl.cli.options import (
    Description,
    Filters,
    Name,
    OfVpc,
    Waiting,
    command,
)
from vpcctl.cli.render import Column, print_item, print_items
from vpcctl.cli.resources import (
    add_delete_of_vpc,
    add_set_of_vpc,
    add_show_of_vpc,
    client_of,
    state_of,
)

app = typer.Typer(no_args_is_help=True, help="Internet gateways: VPCs' ways to external networks.")

COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name", whole=False),
    Column("VPC", "vpc_id"),
    Column("EXTERNAL NETWORK", "external_network_id"),
    Column("ACTIVE HOST", lambda item: item["placement"]["active_host_id"]),
    Column("STATE", state_of),
)


@app.command("list")
@command
def list_(
    context: typer.Context,
    filters: Filters,
    vpc: OfVpc = None,
    network: Annotated[
        str | None, typer.Option(metavar="ID|NAME", help="Only to this external network.")
    ] = None,
) -> None:
    """List internet gateways."""
    client = client_of(context)
    query = filters.query(
        vpc_id=client.resolve_given("vpc", vpc),
        external_network_id=client.resolve_given("ext", network),
    )
    print_items(client.items(path_of("igw"), query), COLUMNS, filters.output)


add_show_of_vpc(app, "igw")


@app.command()
@command
def create(
    context: typer.Context,
    name: Name,
    vpc: Annotated[str, typer.Option(metavar="ID|NAME", help="The VPC that it leads from.")],
    network: Annotated[
        str, typer.Option(metavar="ID|NAME", help="The external network that it leads to.")
    ],
    values: Description,
    waiting: Waiting,
) -> None:
    """Attach a VPC to an external network; a route has to lead there, too."""
    client = client_of(context, patience_s=waiting.timeout)
    body = values.body(name) | {
        "vpc_id": client.resolve("vpc", vpc),
        "external_network_id": client.resolve("ext", network),
    }
    print_item(client.create(path_of("igw"), body, waiting.query), waiting.output)


add_set_of_vpc(app, "igw", "Change an internet gateway: its name, description or tags.")
add_delete_of_vpc(app, "igw")
