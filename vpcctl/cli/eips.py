"""``vpcctl eip``."""

import re
from dataclasses import dataclass
from typing import Annotated

import typer

from vpcctl.cli.client import Client, path_of
from vpcctl.cli.errors import CliError, Exit
from vpcctl.cli.limits import LimitOptions, NewLimits
from vpcctl.cli.options import (
    Changes,
    Description,
    Filters,
    ItsTenant,
    Name,
    Output,
    Waiting,
    command,
    given,
)
from vpcctl.cli.render import Column, Json, print_deleted, print_item, print_items
from vpcctl.cli.resources import InVpc, client_of, state_of
from vpcctl.model import ids

app = typer.Typer(no_args_is_help=True, help="EIPs: addresses that the outside can reach.")

Reference = Annotated[
    str, typer.Argument(metavar="EIP", help="Its id, its address, or its unique name.")
]


def _used_by(item: Json) -> str | None:
    if item["port_id"] is not None:
        return f"{item['fixed_ip']} of {item['port_id']}"
    return item["nat_gateway_id"]


COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name", whole=False),
    Column("ADDRESS", "address"),
    Column("STANDS FOR", _used_by, whole=False),
    Column("WHERE", lambda item: item["placement"]["mode"]),
    Column("HOST", lambda item: item["placement"]["host_id"]),
    Column("STATE", state_of),
)


@dataclass(frozen=True, slots=True)
class Within:
    """Where to look for EIPs."""

    network: Annotated[
        str | None, typer.Option(metavar="ID|NAME", help="Only of this external network.")
    ] = None
    vpc: Annotated[
        str | None, typer.Option(metavar="ID|NAME", help="Only for ports of this VPC.")
    ] = None
    port: Annotated[str | None, typer.Option(metavar="ID|NAME", help="Only for this port.")] = None

    def query(self, client: Client) -> dict[str, str | None]:
        """Return the filters as query parameters."""
        return {
            "external_network_id": client.resolve_given("ext", self.network),
            "vpc_id": client.resolve_given("vpc", self.vpc),
            "port_id": client.resolve_given("port", self.port),
        }


@app.command("list")
@command
def list_(
    context: typer.Context,
    filters: Filters,
    within: Within,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
) -> None:
    """List EIPs, and where each is realised."""
    client = client_of(context)
    query = filters.query(tenant_id=tenant, **within.query(client))
    print_items(client.items(path_of("eip"), query), COLUMNS, filters.output)


@app.command()
@command
def show(context: typer.Context, reference: Reference, output: Output) -> None:
    """Show an EIP."""
    client = client_of(context)
    print_item(client.get(path_of("eip", find_eip(client, reference))), output.output)


@dataclass(frozen=True, slots=True)
class Values(Description):
    """Further values of a new EIP."""

    address: Annotated[
        str | None, typer.Option(help="An address of its pools; default: the next free one.")
    ] = None
    tenant: ItsTenant = None

    def fields(self) -> Json:
        """Return the fields that only EIPs have."""
        return given(address=self.address, tenant_id=self.tenant)


@app.command()
@command
def create(
    context: typer.Context,
    name: Name,
    network: Annotated[
        str, typer.Option(metavar="ID|NAME", help="The external network whose address it is.")
    ],
    values: Values,
    limits: LimitOptions,
    waiting: Waiting,
) -> None:
    """Allocate an EIP."""
    client = client_of(context, patience_s=waiting.timeout)
    body = values.body(name) | values.fields() | limits.limits()
    body["external_network_id"] = client.resolve("ext", network)
    print_item(client.create(path_of("eip"), body, waiting.query), waiting.output)


@app.command("set")
@command
def set_(
    context: typer.Context,
    reference: Reference,
    changes: Changes,
    limits: NewLimits,
    waiting: Waiting,
) -> None:
    """Change an EIP: its name, description, tags or limits."""
    client = client_of(context, patience_s=waiting.timeout)
    path = path_of("eip", find_eip(client, reference))
    body = changes.body() | limits.changed()
    print_item(client.change(path, body, waiting.query), waiting.output)


@app.command()
@command
def associate(
    context: typer.Context,
    reference: Reference,
    port: Annotated[str, typer.Option(metavar="ID|NAME", help="The port that it stands for.")],
    within: InVpc,
    waiting: Waiting,
    ip: Annotated[
        str | None, typer.Option(help="Which of the port's IPv4 addresses; default: the first.")
    ] = None,
    move: Annotated[
        bool, typer.Option("--move", help="Take it from what it stands for now.")
    ] = False,
) -> None:
    """Let an EIP stand for a port's address: what is sent to the one arrives at the other."""
    client = client_of(context, patience_s=waiting.timeout)
    path = path_of("eip", find_eip(client, reference))
    port_id = within.resolve(client, "port", port)
    body = given(port_id=port_id, fixed_ip=ip) | {"move": move}
    print_item(client.put(f"{path}/association", body, waiting.query), waiting.output)


@app.command()
@command
def disassociate(context: typer.Context, reference: Reference, waiting: Waiting) -> None:
    """Let an EIP stand for nothing; it stays the tenant's."""
    client = client_of(context, patience_s=waiting.timeout)
    path = path_of("eip", find_eip(client, reference))
    client.delete(f"{path}/association", waiting.query)
    print_item(client.get(path), waiting.output)


@app.command()
@command
def release(context: typer.Context, reference: Reference, waiting: Waiting) -> None:
    """Release an EIP that nothing uses: its address becomes free."""
    client = client_of(context, patience_s=waiting.timeout)
    eip_id = find_eip(client, reference)
    revision = client.delete(path_of("eip", eip_id), waiting.query)
    print_deleted(eip_id, revision, waiting.output, says="released")


def find_eip(client: Client, reference: str) -> str:
    """Return the id of the EIP that *reference* names by id, address or unique name."""
    if ids.is_id("eip", reference) or not re.fullmatch(r"[0-9]+(\.[0-9]+){3}", reference):
        return client.resolve("eip", reference)
    found = [item["id"] for item in client.items(path_of("eip"), {"address": reference})]
    if len(found) != 1:
        said = "there is no EIP" if not found else "several external networks have an EIP"
        raise CliError(f"{said} {reference}", Exit.NOT_FOUND if not found else Exit.CONFLICT)
    return found[0]
