"""``vpcctl token``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vpcctl.cli.files import write_secret
from vpcctl.cli.options import Output, command, given
from vpcctl.cli.render import Column, Format, print_items, print_json
from vpcctl.cli.resources import client_of

app = typer.Typer(no_args_is_help=True, help="Bearer tokens of admins, tenants and hosts.")

COLUMNS = (
    Column("ID", "id"),
    Column("ROLE", "role"),
    Column("FOR", lambda item: item.get("tenant_id") or item.get("host_id")),
    Column("EXPIRES", "expires_at"),
    Column("DESCRIPTION", "description", whole=False),
)


class Role(StrEnum):
    """Who a token is for."""

    ADMIN = "admin"
    TENANT = "tenant"
    HOST = "host"


@app.command("list")
@command
def list_(context: typer.Context, output: Output) -> None:
    """List tokens; their secrets are known to their holders only."""
    print_items(client_of(context).items("/v1/tokens"), COLUMNS, output.output)


@app.command()
@command
def create(
    context: typer.Context,
    role: Annotated[Role, typer.Option(help="Who it is for.")],
    output: Output,
    tenant: Annotated[str | None, typer.Option(help="The tenant, for a tenant's token.")] = None,
    host: Annotated[
        str | None, typer.Option(metavar="ID|NAME", help="The host, for an agent's token.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="A sentence about it.")] = None,
    expires_at: Annotated[
        str | None, typer.Option(help="When it ends, such as 2030-01-31T00:00:00Z.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Write the secret here (0600) instead of printing it.")
    ] = None,
) -> None:
    """Create a token and print its secret, which is shown only this once."""
    client = client_of(context)
    host_id = client.resolve_given("host", host)
    body = given(
        role=role.value,
        tenant_id=tenant,
        host_id=host_id,
        description=description,
        expires_at=expires_at,
    )
    made = client.create("/v1/tokens", body)
    if file is not None:
        write_secret(file, made.pop("secret"))
    if output.output is Format.JSON:
        print_json(made)
    else:
        print(made.get("secret") or f"{made['token']['id']} written to {file}")


@app.command()
@command
def revoke(
    context: typer.Context,
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The token's id.")],
    output: Output,
) -> None:
    """Revoke a token."""
    client_of(context).delete(f"/v1/tokens/{token_id}")
    if output.output is Format.JSON:
        print_json({"id": token_id, "revoked": True})
    else:
        print(f"{token_id} revoked")
