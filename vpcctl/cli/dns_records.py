"""``vpcctl dns``."""

from typing import Annotated

import typer

from vpcctl.cli.options import Filters, OfVpc, Output, command, given
from vpcctl.cli.render import Column, lines, print_deleted, print_item, print_items
from vpcctl.cli.resources import add_show, client_of

app = typer.Typer(no_args_is_help=True, help="DNS records in the private zones of VPCs.")

PATH = "/v1/dns-records"
COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "full_name", whole=False),
    Column("TYPE", "type"),
    Column("TTL", "ttl"),
    Column("VALUES", lambda item: lines(item["values"]), whole=False),
)
Record = Annotated[str, typer.Argument(metavar="ID", help="Id of the records.")]
Values = Annotated[
    list[str] | None, typer.Option("--value", help="What the name has, all of it; repeatable.")
]
Ttl = Annotated[int | None, typer.Option(help="Seconds that it may be remembered.")]
Text = Annotated[str | None, typer.Option("--description", help="Free text.")]


@app.command("list")
@command
def list_(
    context: typer.Context,
    filters: Filters,
    vpc: OfVpc = None,
    type: Annotated[str | None, typer.Option(help="Only of this type.")] = None,
) -> None:
    """List DNS records."""
    client = client_of(context)
    vpc_id = client.resolve_given("vpc", vpc)
    query = filters.query(vpc_id=vpc_id, type=type)
    print_items(client.items(PATH, query), COLUMNS, filters.output)


add_show(app, "rec")


@app.command()
@command
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Relative to the VPC's domain; @ is the domain.")],
    type: Annotated[str, typer.Argument(help="A, AAAA, CNAME, MX, PTR, SRV or TXT.")],
    vpc: Annotated[str, typer.Option(metavar="ID|NAME", help="The VPC whose guests see it.")],
    output: Output,
    value: Values = None,
    ttl: Ttl = None,
    description: Text = None,
) -> None:
    """Create the records of a name and type."""
    client = client_of(context)
    body = {"name": name, "type": type.upper(), "values": value or []}
    body |= {"vpc_id": client.resolve("vpc", vpc), **given(ttl=ttl, description=description)}
    print_item(client.create(PATH, body), output.output)


@app.command("set")
@command
def set_(
    context: typer.Context,
    record: Record,
    output: Output,
    value: Values = None,
    ttl: Ttl = None,
    description: Text = None,
) -> None:
    """Change what a name has."""
    client = client_of(context)
    body = given(values=value, ttl=ttl, description=description)
    path = f"{PATH}/{client.resolve('rec', record)}"
    print_item(client.change(path, body), output.output)


@app.command()
@command
def delete(context: typer.Context, record: Record, output: Output) -> None:
    """Delete the records of a name and type."""
    client = client_of(context)
    id = client.resolve("rec", record)
    revision = client.delete(f"{PATH}/{id}")
    print_deleted(id, revision, output.output)
