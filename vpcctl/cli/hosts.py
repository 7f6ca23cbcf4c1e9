"""``vpcctl host``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from vpcctl.cli.errors import CliError
from vpcctl.cli.files import write_secret
from vpcctl.cli.options import (
    Changes,
    Description,
    Filters,
    Name,
    Output,
    Reference,
    Waiting,
    command,
    given,
)
from vpcctl.cli.render import Column, Format, Json, print_item, print_items
from vpcctl.cli.resources import add_delete, add_show, client_of
from vpcctl.cli.target import Target

app = typer.Typer(no_args_is_help=True, help="Hosts: machines that run Open vSwitch.")


def _gateway_of(item: Json) -> str:
    """Return what a host is for gateways."""
    if not item["gateway"]:
        return "no"
    return "drained" if item["drained"] else "yes"


COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name", whole=False),
    Column("VTEP", "vtep_address"),
    Column("PORTS", "ports"),
    Column("AGENT", "state"),
    Column("FLOWS", "connection"),
    Column("GATEWAY", _gateway_of),
)


Zone = Annotated[
    str | None,
    typer.Option("--availability-zone", "--zone", help="Its availability zone; '' for none."),
]
Gateway = Annotated[
    bool | None,
    typer.Option("--gateway/--no-gateway", help="Whether gateways may be placed on it."),
]


@dataclass(frozen=True, slots=True)
class Values(Description):
    """Values of a new host."""

    vtep: Annotated[
        str | None, typer.Option(help="Its VXLAN endpoint; default: what its agent reports.")
    ] = None
    availability_zone: Zone = None
    gateway: Gateway = None
    agent_token: Annotated[
        Path | None,
        typer.Option("--token-file", help="Make the agent's token and write it here, 0600."),
    ] = None

    def fields(self) -> Json:
        """Return the fields that only hosts have."""
        return given(
            vtep_address=self.vtep,
            availability_zone=self.availability_zone,
            gateway=self.gateway,
        )


@dataclass(frozen=True, slots=True)
class NewValues(Changes):
    """Changes of a host; an empty text clears a value."""

    vtep: Annotated[
        str | None, typer.Option(help="Its VXLAN endpoint; '' lets its agent say it.")
    ] = None
    availability_zone: Zone = None
    gateway: Gateway = None

    def fields(self) -> Json:
        """Return the fields that only hosts have, null for those to be cleared."""
        values = given(vtep_address=self.vtep, availability_zone=self.availability_zone)
        cleared = {name: value or None for name, value in values.items()}
        return cleared | given(gateway=self.gateway)


@app.command("list")
@command
def list_(context: typer.Context, filters: Filters) -> None:
    """List hosts."""
    print_items(client_of(context).items("/v1/hosts", filters.query()), COLUMNS, filters.output)


add_show(app, "host")


@app.command()
@command
def create(context: typer.Context, name: Name, values: Values, output: Output) -> None:
    """Create a host, and print how to start its agent there."""
    client = client_of(context)
    if values.agent_token is not None and values.agent_token.exists():
        taken = f"token-file: {values.agent_token} exists, and may be another host's"
        raise CliError(f"{taken}; accepted: a file that is not there yet")
    host = client.create("/v1/hosts", values.body(name) | values.fields())
    if values.agent_token is not None:
        token = {"role": "host", "host_id": host["id"], "description": f"agent of {name}"}
        write_secret(values.agent_token, client.create("/v1/tokens", token)["secret"])
    print_item(host, output.output)
    if output.output is Format.TABLE:
        print(_instructions(context.obj, host, values.agent_token))


@app.command("set")
@command
def set_(
    context: typer.Context, reference: Reference, changes: NewValues, waiting: Waiting
) -> None:
    """Change a host."""
    client = client_of(context, patience_s=waiting.timeout)
    path = f"/v1/hosts/{client.resolve('host', reference)}"
    body = changes.body() | changes.fields()
    print_item(client.change(path, body, waiting.query), waiting.output)


@app.command()
@command
def drain(context: typer.Context, reference: Reference, waiting: Waiting) -> None:
    """Let a host stand for no gateway: others take over, and it gets no new ones.

    With --wait: return when no gateway's placement lists it any more, so that it may be switched
    off; code 7 and what still does when it is not done in time.
    """
    _set_drained(context, reference, waiting, drained=True)


@app.command()
@command
def undrain(context: typer.Context, reference: Reference, waiting: Waiting) -> None:
    """Let a host stand for gateways again; none moves back by itself."""
    _set_drained(context, reference, waiting, drained=False)


def _set_drained(
    context: typer.Context, reference: str, waiting: Waiting, *, drained: bool
) -> None:
    client = client_of(context, patience_s=waiting.timeout)
    path = f"/v1/hosts/{client.resolve('host', reference)}"
    print_item(client.change(path, {"drained": drained}, waiting.query), waiting.output)


add_delete(app, "host")


def _vtep_flag(target: Target, host: Json) -> str:
    """Return the flag for the tunnels' address, where the agent cannot find it by itself."""
    if host.get("vtep_address"):
        return f" --vtep-address {host['vtep_address']}"
    return " --vtep-address ADDRESS" if target.is_local else ""


def _instructions(target: Target, host: Json, token_file: Path | None) -> str:
    if target.api.startswith("https://"):
        return (
            "\nLet its machine enrol (over TLS a token alone is not enough), and start its agent:\n"
            f"  vpcctl host enroll {host['id']}\n"
            f"  vpc-agent enroll --api-url {target.api} --token -\n"
            f"  vpc-agent{_vtep_flag(target, host)} --api-url {target.api}"
        )
    token = str(token_file) if token_file else "TOKEN-FILE"
    api = target.api if target.socket else target.base_url
    start = f"vpc-agent --host-id {host['id']}{_vtep_flag(target, host)} --api-url {api}"
    start += f" --token-file {token}"
    if target.is_local:
        start += f"\n  (on this machine; on others: vpcctl host enroll {host['id']})"
    if token_file:
        return f"\nStart its agent on the host with:\n  {start}"
    make = f"vpcctl token create --role host --host {host['id']} --file TOKEN-FILE"
    return f"\nMake its agent's token, then start the agent on the host:\n  {make}\n  {start}"
