"""``vpcctl vpc``."""

from dataclasses import dataclass
from typing import Annotated

import typer

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
from vpcctl.cli.render import Column, lines, print_item, print_items
from vpcctl.cli.resources import add_delete, add_show, client_of, state_of

app = typer.Typer(no_args_is_help=True, help="VPCs: isolated networks of a tenant.")

Cidrs = Annotated[
    list[str], typer.Option("--cidr", metavar="CIDR", help="IPv4 or IPv6 block; repeatable.")
]
Dns = Annotated[
    bool | None, typer.Option("--dns/--no-dns", help="Whether its guests have a resolver.")
]
Domain = Annotated[str | None, typer.Option(help="Domain of its ports' names.")]
COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name", whole=False),
    Column("TENANT", "tenant_id", whole=False),
    Column("CIDRS", lambda item: lines(item["cidrs"])),
    Column("STATE", state_of),
)


@dataclass(frozen=True, slots=True)
class Values(Description):
    """Further values of a new VPC."""

    tenant: ItsTenant = None
    dhcp_options: Annotated[
        str | None, typer.Option(metavar="ID|NAME", help="Its set of DHCP options.")
    ] = None
    dns: Dns = None
    domain: Domain = None


@app.command("list")
@command
def list_(
    context: typer.Context,
    filters: Filters,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
) -> None:
    """List VPCs."""
    found = client_of(context).items("/v1/vpcs", filters.query(tenant_id=tenant))
    print_items(found, COLUMNS, filters.output)


add_show(app, "vpc")


@app.command()
@command
def create(
    context: typer.Context, name: Name, cidr: Cidrs, values: Values, waiting: Waiting
) -> None:
    """Create a VPC."""
    body = values.body(name) | {"cidrs": cidr}
    if values.tenant is not None:
        body["tenant_id"] = values.tenant
    client = client_of(context, patience_s=waiting.timeout)
    body |= given(dns_enabled=values.dns, dns_domain=values.domain)
    if values.dhcp_options is not None:
        body["dhcp_options_id"] = client.resolve("dopt", values.dhcp_options)
    print_item(client.create("/v1/vpcs", body, waiting.query), waiting.output)


@app.command("set")
@command
def set_(
    context: typer.Context,
    reference: Reference,
    changes: Changes,
    waiting: Waiting,
    cidr: Annotated[
        list[str] | None,
        typer.Option(metavar="CIDR", help="The blocks, all of them; repeatable."),
    ] = None,
    dhcp_options: Annotated[
        str | None, typer.Option(metavar="ID|NAME", help="Its set of DHCP options; '' for none.")
    ] = None,
    dns: Dns = None,
    domain: Domain = None,
) -> None:
    """Change a VPC: its name, description, tags, blocks, names or DHCP options."""
    client = client_of(context, patience_s=waiting.timeout)
    body = changes.body() | ({"cidrs": cidr} if cidr else {})
    body |= given(dns_enabled=dns, dns_domain=domain)
    if dhcp_options is not None:
        body["dhcp_options_id"] = client.resolve_given("dopt", dhcp_options)
    path = f"/v1/vpcs/{client.resolve('vpc', reference)}"
    print_item(client.change(path, body, waiting.query), waiting.output)


add_delete(app, "vpc")
