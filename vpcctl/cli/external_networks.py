"""``vpcctl external-network``."""

from dataclasses import dataclass
from typing import Annotated

import typer

from vpcctl.cli.client import path_of
from vpcctl.cli.options import (
    Changes,
    Description,
    Filters,
    Name,
    Reference,
    Waiting,
    command,
    given,
)
from vpcctl.cli.render import Column, Json, lines, print_item, print_items
from vpcctl.cli.resources import add_delete, add_show, client_of, state_of

app = typer.Typer(no_args_is_help=True, help="External networks: providers' networks outside.")

COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name", whole=False),
    Column("PROVIDER", "provider", whole=False),
    Column("VLAN", "vlan"),
    Column("BLOCKS", lambda item: lines([b for b in (item["cidr"], item["ipv6_cidr"]) if b])),
    Column("EIPS", lambda item: f"{item['eip_count']} of {item['pool_addresses']}"),
    Column("HOSTS", lambda item: len(item["host_ids"])),
    Column("STATE", state_of),
)

Pools = Annotated[
    list[str] | None,
    typer.Option(
        "--pool",
        metavar="FIRST-LAST|CIDR|ADDRESS",
        help="Where EIPs are allocated from, all of them; repeatable; '' for none.",
    ),
]
Mtu = Annotated[int | None, typer.Option(help="MTU of the network, bytes; IPv6 needs 1280.")]


@dataclass(frozen=True, slots=True)
class Values(Description):
    """Values of a new external network."""

    vlan: Annotated[int | None, typer.Option(help="VLAN; default: untagged.")] = None
    cidr: Annotated[str | None, typer.Option(help="IPv4 block.")] = None
    gateway: Annotated[str | None, typer.Option(help="The provider's IPv4 router.")] = None
    ipv6_cidr: Annotated[str | None, typer.Option(help="IPv6 block.")] = None
    ipv6_gateway: Annotated[str | None, typer.Option(help="The provider's IPv6 router.")] = None
    pool: Pools = None
    mtu: Mtu = None

    def fields(self) -> Json:
        """Return the fields that only external networks have."""
        return given(
            vlan=self.vlan,
            cidr=self.cidr,
            gateway=self.gateway,
            ipv6_cidr=self.ipv6_cidr,
            ipv6_gateway=self.ipv6_gateway,
            pools=_pools(self.pool),
            mtu=self.mtu,
        )


@dataclass(frozen=True, slots=True)
class NewValues(Changes):
    """Changes of an external network; an empty text clears a value."""

    gateway: Annotated[
        str | None, typer.Option(help="The provider's IPv4 router; '' for none.")
    ] = None
    ipv6_cidr: Annotated[str | None, typer.Option(help="IPv6 block; '' for none.")] = None
    ipv6_gateway: Annotated[
        str | None, typer.Option(help="The provider's IPv6 router; '' for none.")
    ] = None
    pool: Pools = None
    mtu: Mtu = None

    def fields(self) -> Json:
        """Return the fields that only external networks have, null for those to be cleared."""
        values = given(
            gateway=self.gateway, ipv6_cidr=self.ipv6_cidr, ipv6_gateway=self.ipv6_gateway
        )
        cleared = {name: value or None for name, value in values.items()}
        return cleared | given(pools=_pools(self.pool), mtu=self.mtu)


def _pools(pools: list[str] | None) -> list[str] | None:
    return None if pools is None else [pool for pool in pools if pool]


@app.command("list")
@command
def list_(
    context: typer.Context,
    filters: Filters,
    provider: Annotated[str | None, typer.Option(help="Only of this provider network.")] = None,
) -> None:
    """List external networks."""
    found = client_of(context).items(path_of("ext"), filters.query(provider=provider))
    print_items(found, COLUMNS, filters.output)


add_show(app, "ext")


@app.command()
@command
def create(
    context: typer.Context,
    name: Name,
    provider: Annotated[str, typer.Option(help="Provider network, as agents' settings name it.")],
    values: Values,
    waiting: Waiting,
) -> None:
    """Describe a provider's network; admins only.

    For example: vpcctl external-network create isp --provider isp --vlan 100
    --cidr 203.0.113.0/24 --gateway 203.0.113.1 --pool 203.0.113.16-203.0.113.99
    """
    client = client_of(context, patience_s=waiting.timeout)
    body = values.body(name) | {"provider": provider} | values.fields()
    print_item(client.create(path_of("ext"), body, waiting.query), waiting.output)


@app.command("set")
@command
def set_(
    context: typer.Context, reference: Reference, changes: NewValues, waiting: Waiting
) -> None:
    """Change an external network; provider, VLAN and IPv4 block are for good."""
    client = client_of(context, patience_s=waiting.timeout)
    path = path_of("ext", client.resolve("ext", reference))
    body = changes.body() | changes.fields()
    print_item(client.change(path, body, waiting.query), waiting.output)


add_delete(app, "ext")
