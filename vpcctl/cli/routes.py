"""``vpcctl route``."""

from dataclasses import dataclass
from typing import Annotated

import typer

from vpcctl.cli.client import Client
from vpcctl.cli.errors import CliError
from vpcctl.cli.options import Output, Waiting, command, given
from vpcctl.cli.render import Json, print_items
from vpcctl.cli.resources import InVpc, client_of
from vpcctl.cli.route_tables import ROUTE_COLUMNS, print_table
from vpcctl.model import ids

app = typer.Typer(no_args_is_help=True, help="Routes of route tables: which way leads where.")

Table = Annotated[
    str,
    typer.Argument(
        metavar="TABLE", help="The route table: its id, or its name; a VPC's own is called main."
    ),
]
Destination = Annotated[
    str, typer.Argument(metavar="DESTINATION", help="A block, such as 0.0.0.0/0.")
]
_KINDS: dict[str, ids.Kind] = {"igw": "igw", "nat": "nat", "port": "port"}


@dataclass(frozen=True, slots=True)
class Way:
    """Where a route leads."""

    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TARGET",
            help="igw-…, nat-… or port-…, or igw:NAME, nat:NAME, port:NAME; repeatable: "
            "several share the connections.",
        ),
    ] = None
    blackhole: Annotated[
        bool, typer.Option("--blackhole", help="Drop what is for the block, instead of --to.")
    ] = False
    description: Annotated[str | None, typer.Option(help="A sentence about it.")] = None

    def route(self, client: Client, table: str, destination: str) -> Json:
        """Return the route in the table at the path *table*.

        Raises:
            CliError: neither targets nor a blackhole are said, or both, or a name is not found.
        """
        if bool(self.to) == self.blackhole:
            raise CliError("route: give --to TARGET, or --blackhole")
        targets = [_target(client, table, text) for text in self.to or ()]
        described = given(description=self.description)
        return {"destination": destination, "targets": targets} | described


def _target(client: Client, table: str, text: str) -> str:
    """Return the id of a target that is written as an id, or as its kind and name."""
    if any(ids.is_id(kind, text) for kind in _KINDS.values()):
        return text
    word, separator, name = text.partition(":")
    if not separator or not name or word not in _KINDS:
        says = "igw-…, nat-…, port-…, igw:NAME, nat:NAME or port:NAME"
        raise CliError(f"--to: {text!r} is no target; accepted: {says}")
    return client.resolve(_KINDS[word], name, vpc_id=client.get(table)["vpc_id"])


@app.command("list")
@command
def list_(context: typer.Context, table: Table, within: InVpc, output: Output) -> None:
    """List a table's routes, by family, address and length."""
    client = client_of(context)
    item = client.get(within.find(client, "rtb", table))
    print_items(item["routes"], ROUTE_COLUMNS, output.output)


@app.command()
@command
def add(
    context: typer.Context,
    table: Table,
    destination: Destination,
    way: Way,
    within: InVpc,
    waiting: Waiting,
) -> None:
    """Add a route to a table; its destination must be new to the table.

    For example: vpcctl route add main 0.0.0.0/0 --to igw:out --vpc shop
    """
    client = client_of(context, patience_s=waiting.timeout)
    path = within.find(client, "rtb", table)
    route = way.route(client, path, destination)
    print_table(client.create(f"{path}/routes", route, waiting.query), waiting.output)


@app.command("set")
@command
def set_(
    context: typer.Context,
    table: Table,
    destination: Destination,
    way: Way,
    within: InVpc,
    waiting: Waiting,
) -> None:
    """Replace the route to a destination, or add it: at once, with no moment between."""
    client = client_of(context, patience_s=waiting.timeout)
    path = within.find(client, "rtb", table)
    route = way.route(client, path, destination)
    print_table(client.put(f"{path}/routes", route, waiting.query), waiting.output)


@app.command()
@command
def delete(
    context: typer.Context,
    table: Table,
    destination: Annotated[
        list[str], typer.Argument(metavar="DESTINATION...", help="Destinations of the routes.")
    ],
    within: InVpc,
    waiting: Waiting,
) -> None:
    """Take routes out of a table: all, or none."""
    client = client_of(context, patience_s=waiting.timeout)
    path = within.find(client, "rtb", table)
    client.delete(f"{path}/routes", {**waiting.query, "destination": destination})
    print_table(client.get(path), waiting.output)
