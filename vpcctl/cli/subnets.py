"""``vpcctl subnet``."""

from dataclasses import dataclass
from typing import Annotated

import typer

from vpcctl.cli.client import Client
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
from vpcctl.cli.render import Column, Json, lines, print_item
from vpcctl.cli.resources import (
    InVpc,
    add_delete_of_vpc,
    add_list_of_vpc,
    add_show_of_vpc,
    client_of,
    state_of,
)
from vpcctl.model import ids

app = typer.Typer(no_args_is_help=True, help="Subnets: layer-2 segments of a VPC.")

COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name", whole=False),
    Column("BLOCKS", lambda item: lines([item["cidr"], *_second_block(item)])),
    Column("VNI", "vni"),
    Column("FREE", "free_addresses"),
    Column("STATE", state_of),
)


def _second_block(item: Json) -> list[str]:
    return [item["ipv6_cidr"]] if item.get("ipv6_cidr") else []


Mode = Annotated[
    str | None,
    typer.Option(
        metavar="slaac|dhcpv6-stateful|dhcpv6-stateless", help="How guests get IPv6 addresses."
    ),
]


@dataclass(frozen=True, slots=True)
class Values(Description):
    """Values of a new subnet."""

    gateway: Annotated[str | None, typer.Option(help="IPv4 gateway; default: the first.")] = None
    ipv6_cidr: Annotated[
        str | None, typer.Option(metavar="CIDR", help="IPv6 block of the VPC.")
    ] = None
    ipv6_gateway: Annotated[str | None, typer.Option(help="IPv6 gateway; default: the first.")] = (
        None
    )
    ipv6_mode: Mode = None
    availability_zone: Annotated[str | None, typer.Option(help="Its availability zone.")] = None
    nacl: Annotated[str | None, typer.Option(metavar="ID|NAME", help="Network ACL of the VPC.")] = (
        None
    )
    route_table: Annotated[
        str | None,
        typer.Option(metavar="ID|NAME", help="Route table of the VPC; default: the main one."),
    ] = None

    def fields(self) -> Json:
        """Return the fields that only subnets have."""
        return given(
            gateway=self.gateway,
            ipv6_cidr=self.ipv6_cidr,
            ipv6_gateway=self.ipv6_gateway,
            ipv6_mode=self.ipv6_mode,
            availability_zone=self.availability_zone,
        )


@dataclass(frozen=True, slots=True)
class NewValues(Changes):
    """Changes of a subnet; an empty text clears a value."""

    ipv6_cidr: Annotated[
        str | None, typer.Option(metavar="CIDR", help="IPv6 block; '' removes it.")
    ] = None
    ipv6_gateway: Annotated[str | None, typer.Option(help="IPv6 gateway.")] = None
    ipv6_mode: Mode = None
    availability_zone: Annotated[
        str | None, typer.Option(help="Availability zone; '' for none.")
    ] = None
    nacl: Annotated[
        str | None, typer.Option(metavar="ID|NAME", help="Network ACL of the VPC; '' for none.")
    ] = None
    route_table: Annotated[
        str | None,
        typer.Option(metavar="ID|NAME", help="Route table of the VPC; '' for the main one."),
    ] = None

    def fields(self) -> Json:
        """Return the fields that only subnets have, null for those to be cleared."""
        values = given(
            ipv6_cidr=self.ipv6_cidr,
            ipv6_gateway=self.ipv6_gateway,
            ipv6_mode=self.ipv6_mode,
            availability_zone=self.availability_zone,
        )
        return {name: value or None for name, value in values.items()}


add_list_of_vpc(app, "subnet", COLUMNS)
add_show_of_vpc(app, "subnet")


@app.command()
@command
def create(
    context: typer.Context,
    name: Name,
    vpc: ItsVpc,
    cidr: Annotated[str, typer.Option(metavar="CIDR", help="IPv4 block of the VPC.")],
    values: Values,
    waiting: Waiting,
) -> None:
    """Create a subnet."""
    client = client_of(context, patience_s=waiting.timeout)
    body = values.body(name) | values.fields()
    vpc_id = client.resolve("vpc", vpc)
    body |= {"vpc_id": vpc_id, "cidr": cidr}
    if values.nacl is not None:
        body["network_acl_id"] = client.resolve("nacl", values.nacl, vpc_id=vpc_id)
    if values.route_table is not None:
        body["route_table_id"] = client.resolve("rtb", values.route_table, vpc_id=vpc_id)
    print_item(client.create("/v1/subnets", body, waiting.query), waiting.output)


@app.command("set")
@command
def set_(
    context: typer.Context,
    reference: Reference,
    changes: NewValues,
    within: InVpc,
    waiting: Waiting,
) -> None:
    """Change a subnet: its name, description, tags, IPv6 block, zone, network ACL or routes."""
    client = client_of(context, patience_s=waiting.timeout)
    path = within.find(client, "subnet", reference)
    body = changes.body() | changes.fields()
    if changes.nacl is not None:
        body["network_acl_id"] = _find(client, path, "nacl", changes.nacl)
    if changes.route_table is not None:
        body["route_table_id"] = _find(client, path, "rtb", changes.route_table)
    print_item(client.change(path, body, waiting.query), waiting.output)


add_delete_of_vpc(app, "subnet")


def _find(client: Client, path: str, kind: ids.Kind, reference: str) -> str | None:
    """Return the id of a *kind* of the VPC of the subnet at *path*, None for none."""
    if not reference or ids.is_id(kind, reference):
        return reference or None
    return client.resolve(kind, reference, vpc_id=client.get(path)["vpc_id"])
