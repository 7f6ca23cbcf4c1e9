"""``vpcctl nat-gateway``."""

import re
from dataclasses import dataclass
from typing import Annotated

import typer

from vpcctl.cli.client import Client, path_of
from vpcctl.cli.eips import find_eip
from vpcctl.cli.errors import CliError, Exit
from vpcctl.cli.options import (
    Changes,
    Description,
    ItsVpc,
    Name,
    Output,
    Reference,
    Waiting,
    command,
    given,
)
from vpcctl.cli.render import Column, Format, Json, lines, print_deleted, print_items, print_parts
from vpcctl.cli.resources import (
    InVpc,
    add_delete_of_vpc,
    add_list_of_vpc,
    add_show_of_vpc,
    client_of,
    state_of,
)
from vpcctl.model import ids

app = typer.Typer(no_args_is_help=True, help="NAT gateways: the way out for subnets without EIPs.")
forwards = typer.Typer(no_args_is_help=True, help="Port forwards: ports of an EIP that lead in.")
app.add_typer(forwards, name="forward")

COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name", whole=False),
    Column("VPC", "vpc_id"),
    Column("EIPS", lambda item: lines([eip["address"] for eip in item["eips"]])),
    Column("FORWARDS", "forward_count"),
    Column("CONNECTIONS", lambda item: (item["counters"] or {}).get("connections")),
    Column("ACTIVE HOST", lambda item: item["placement"]["active_host_id"]),
    Column("STATE", state_of),
)
FORWARD_COLUMNS = (
    Column("ID", "id"),
    Column("EIP", "eip_address"),
    Column("TRAFFIC", lambda item: f"{item['protocol']}/{item['ports']}"),
    Column("TO", lambda item: f"{item['address']}:{item['target_ports']}"),
    Column("DESCRIPTION", "description", whole=False),
    Column("WARNING", "warning", whole=False),
)

Gateway = Annotated[
    str, typer.Argument(metavar="GATEWAY", help="The NAT gateway: its id, or its unique name.")
]
Eips = Annotated[
    list[str],
    typer.Option("--eip", metavar="EIP", help="An EIP: its id, name or address; repeatable."),
]
_TARGET = re.compile(r"([0-9.]+)(?::([0-9]{1,5}))?")


def print_gateway(item: Json, output: Format) -> None:
    """Print a NAT gateway: its fields, then its port forwards as a table."""
    print_parts(item, "forwards", FORWARD_COLUMNS, output)


add_list_of_vpc(app, "nat", COLUMNS)
add_show_of_vpc(
    app,
    "nat",
    "Show a NAT gateway with its port forwards and the hosts that it is on.",
    print_gateway,
)


@app.command()
@command
def create(
    context: typer.Context,
    name: Name,
    vpc: ItsVpc,
    network: Annotated[
        str, typer.Option(metavar="ID|NAME", help="The external network that it leads to.")
    ],
    eip: Eips,
    values: Description,
    waiting: Waiting,
) -> None:
    """Create a NAT gateway; nothing uses it before a route leads to it."""
    client = client_of(context, patience_s=waiting.timeout)
    body = values.body(name) | {
        "vpc_id": client.resolve("vpc", vpc),
        "external_network_id": client.resolve("ext", network),
        "eip_ids": [find_eip(client, one) for one in eip],
    }
    print_gateway(client.create(path_of("nat"), body, waiting.query), waiting.output)


@app.command("set")
@command
def set_(
    context: typer.Context,
    reference: Reference,
    changes: Changes,
    within: InVpc,
    waiting: Waiting,
    eip: Annotated[
        list[str] | None,
        typer.Option(metavar="EIP", help="Its EIPs, all of them; repeatable."),
    ] = None,
) -> None:
    """Change a NAT gateway: its name, description, tags or EIPs."""
    client = client_of(context, patience_s=waiting.timeout)
    eips = None if eip is None else [find_eip(client, one) for one in eip]
    body = changes.body() | given(eip_ids=eips)
    path = within.find(client, "nat", reference)
    print_gateway(client.change(path, body, waiting.query), waiting.output)


add_delete_of_vpc(app, "nat")


@dataclass(frozen=True, slots=True)
class Forward:
    """What a port forward is about."""

    to: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS[:PORT]",
            help="A fixed address in the VPC, and what the first port becomes; default: the same.",
        ),
    ]
    eip: Annotated[
        str | None, typer.Option(metavar="EIP", help="Whose ports, where the gateway has several.")
    ] = None
    description: Annotated[str | None, typer.Option(help="A sentence about it.")] = None

    def body(self, client: Client, traffic: str) -> Json:
        """Return the fields of a forward of *traffic*, such as ``tcp/443``.

        Raises:
            CliError: traffic or target are not of the form, or there is no such EIP.
        """
        protocol, _, ports = traffic.lower().partition("/")
        if protocol not in ("tcp", "udp") or not ports:
            said = f"TRAFFIC: {traffic!r} cannot be forwarded"
            raise CliError(f"{said}; accepted: tcp/443, udp/1000-1999")
        found = _TARGET.fullmatch(self.to)
        if found is None:
            said = f"--to: {self.to!r} is no address, nor one with a port"
            ranges = "with a range of ports: what its first port becomes, the others follow"
            raise CliError(f"{said}; accepted: 10.0.1.20 or 10.0.1.20:8443 ({ranges})")
        eip_id = None if self.eip is None else find_eip(client, self.eip)
        port = int(found[2]) if found[2] else None
        fields = given(eip_id=eip_id, target_port=port, description=self.description)
        return {"protocol": protocol, "ports": ports, "address": found[1]} | fields


@forwards.command()
@command
def add(
    context: typer.Context,
    gateway: Gateway,
    traffic: Annotated[
        str, typer.Argument(metavar="TRAFFIC", help="Ports of the EIP: tcp/443, udp/1000-1999.")
    ],
    forward: Forward,
    within: InVpc,
    waiting: Waiting,
) -> None:
    """Forward ports of a NAT gateway's EIP to a fixed address.

    For example: vpcctl nat-gateway forward add out tcp/443 --to 10.0.1.20:8443
    """
    client = client_of(context, patience_s=waiting.timeout)
    path = within.find(client, "nat", gateway)
    made = client.create(f"{path}/forwards", forward.body(client, traffic), waiting.query)
    print_items([made], FORWARD_COLUMNS, waiting.output)


@forwards.command("list")
@command
def list_forwards(context: typer.Context, gateway: Gateway, within: InVpc, output: Output) -> None:
    """List a NAT gateway's port forwards, oldest first."""
    client = client_of(context)
    item = client.get(within.find(client, "nat", gateway))
    print_items(item["forwards"], FORWARD_COLUMNS, output.output)


@forwards.command("delete")
@command
def delete_forward(
    context: typer.Context,
    gateway: Gateway,
    forward: Annotated[str, typer.Argument(metavar="FORWARD", help="The port forward's id.")],
    within: InVpc,
    waiting: Waiting,
) -> None:
    """Delete a port forward; its connections end."""
    if not ids.is_id("fwd", forward):
        said = f"there is no port forward {forward!r}"
        shown = "accepted: an id that 'vpcctl nat-gateway forward list' shows"
        raise CliError(f"{said}; {shown}", Exit.NOT_FOUND)
    client = client_of(context, patience_s=waiting.timeout)
    path = within.find(client, "nat", gateway)
    revision = client.delete(f"{path}/forwards/{forward}", waiting.query)
    print_deleted(forward, revision, waiting.output)
