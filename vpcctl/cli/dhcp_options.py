"""``vpcctl dhcp-options``."""

from dataclasses import dataclass
from typing import Annotated

import typer

from vpcctl.cli.errors import CliError
from vpcctl.cli.options import (
    Changes,
    Description,
    Filters,
    ItsTenant,
    Name,
    Output,
    Reference,
    command,
    given,
)
from vpcctl.cli.render import Column, Json, lines, print_deleted, print_item, print_items
from vpcctl.cli.resources import add_show, client_of

app = typer.Typer(no_args_is_help=True, help="DHCP option sets: what a VPC's guests are told.")

PATH = "/v1/dhcp-options"
COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name", whole=False),
    Column("DOMAIN", lambda item: item["domain_name"] or "", whole=False),
    Column("DNS", lambda item: lines(item["dns_servers"] or [])),
    Column("NTP", lambda item: lines(item["ntp_servers"] or [])),
)


@dataclass(frozen=True, slots=True)
class Options:
    """Options of DHCP; an empty text stands for: say nothing."""

    lease: Annotated[int | None, typer.Option(help="Seconds that a lease is good for.")] = None
    dns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS", help="The resolvers, all of them; repeatable; '' for none."
        ),
    ] = None
    domain: Annotated[str | None, typer.Option(help="DNS domain of the guests; '' for none.")] = (
        None
    )
    search: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DOMAIN", help="The domains to search, all of them; repeatable; '' for none."
        ),
    ] = None
    ntp: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS", help="The time servers, all of them; repeatable; '' for none."
        ),
    ] = None
    route: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CIDR=HOP",
            help="The IPv4 routes with their next hops, all of them; repeatable; '' for none.",
        ),
    ] = None

    def fields(self) -> Json:
        """Return the fields that the options set."""
        named = given(
            dns_servers=_listed(self.dns),
            domain_name=self.domain,
            search_domains=_listed(self.search),
            ntp_servers=_listed(self.ntp),
            routes=None if self.route is None else [_route(one) for one in self.route if one],
        )
        return given(lease_time_s=self.lease) | {k: v or None for k, v in named.items()}


def _listed(texts: list[str] | None) -> list[str] | None:
    return None if texts is None else [text for text in texts if text]


def _route(text: str) -> Json:
    block, separator, hop = text.partition("=")
    if not separator:
        raise CliError(f"--route: {text!r} is no route; accepted: CIDR=HOP")
    return {"destination": block, "next_hop": hop}


@app.command("list")
@command
def list_(context: typer.Context, filters: Filters) -> None:
    """List sets of DHCP options."""
    print_items(client_of(context).items(PATH, filters.query()), COLUMNS, filters.output)


add_show(app, "dopt")


@app.command()
@command
def create(
    context: typer.Context,
    name: Name,
    values: Description,
    options: Options,
    output: Output,
    tenant: ItsTenant = None,
) -> None:
    """Create a set of DHCP options."""
    body = values.body(name) | options.fields() | given(tenant_id=tenant)
    print_item(client_of(context).create(PATH, body), output.output)


@app.command("set")
@command
def set_(
    context: typer.Context,
    reference: Reference,
    changes: Changes,
    options: Options,
    output: Output,
) -> None:
    """Change a set; guests hear of it when they renew their leases."""
    client = client_of(context)
    path = f"{PATH}/{client.resolve('dopt', reference)}"
    print_item(client.change(path, changes.body() | options.fields()), output.output)


@app.command()
@command
def delete(context: typer.Context, reference: Reference, output: Output) -> None:
    """Delete a set that no VPC has."""
    client = client_of(context)
    id = client.resolve("dopt", reference)
    revision = client.delete(f"{PATH}/{id}")
    print_deleted(id, revision, output.output)
