"""``vpcctl pki``, and the commands of ``vpcctl host`` that give and take credentials."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vpcctl.cli.controller import Storage, load_settings
from vpcctl.cli.errors import CliError, Exit
from vpcctl.cli.files import write_secret
from vpcctl.cli.options import Output, Reference, command
from vpcctl.cli.render import Column, Format, Json, print_item, print_items, print_json
from vpcctl.cli.resources import client_of
from vpcctl.cli.target import Target

if TYPE_CHECKING:
    from vpcctl.pki.directory import PkiDirectory

app = typer.Typer(no_args_is_help=True, help="The authority, and the controller's certificate.")

CERTIFICATES = (
    Column("SERIAL", "serial"),
    Column("ISSUED", "issued_at"),
    Column("ENDS", "not_after"),
    Column("REVOKED", "revoked_at"),
)


@dataclass(frozen=True, slots=True)
class Place(Storage):
    """Where the keys are."""

    pki_dir: Annotated[
        Path | None, typer.Option(help="Directory of keys; default: pki in the state directory.")
    ] = None


@app.command()
@command
def init(
    place: Place,
    output: Output,
    name: Annotated[
        list[str] | None,
        typer.Option(help="DNS name or address that hosts reach the controller by; repeatable."),
    ] = None,
) -> None:
    """Make the authority and the controller's certificate; what is there is left alone."""
    from vpcctl.pki.errors import PkiError

    directory = _directory(place)
    try:
        made = directory.initialise(name or [], now=datetime.now(UTC))
    except PkiError as error:
        raise CliError(str(error)) from None
    except OSError as error:
        raise CliError(f"{error.filename}: {error.strerror}", Exit.FAILED) from None
    facts = _facts(directory)
    if output.output is Format.JSON:
        facts |= {"authority_made": made.authority_made, "server_made": made.server_made}
    else:
        print("made" if made.authority_made or made.server_made else "everything was there already")
    print_item(facts, output.output)


@app.command()
@command
def renew(
    place: Place,
    output: Output,
    name: Annotated[
        list[str] | None,
        typer.Option(help="New DNS names and addresses, all of them; repeatable."),
    ] = None,
) -> None:
    """Give the controller a new key and certificate now; a running one takes it over."""
    from vpcctl.pki.errors import PkiError

    directory = _directory(place)
    try:
        directory.renew_server(now=datetime.now(UTC), names=name or ())
    except PkiError as error:
        raise CliError(str(error)) from None
    except OSError as error:
        raise CliError(f"{error.filename}: {error.strerror}", Exit.FAILED) from None
    print_item(_facts(directory), output.output)


@app.command()
@command
def show(
    place: Place,
    output: Output,
    ca: Annotated[
        bool, typer.Option("--ca", help="Print the authority's certificate (PEM) and no more.")
    ] = False,
) -> None:
    """Show the authority and the controller's certificate."""
    from vpcctl.pki import certificates
    from vpcctl.pki.errors import PkiError

    directory = _directory(place)
    try:
        if ca:
            print(certificates.to_pem(directory.ca_certificate()), end="")
        else:
            print_item(_facts(directory), output.output)
    except PkiError as error:
        raise CliError(str(error), Exit.NOT_FOUND) from None


@command
def enroll(
    context: typer.Context,
    reference: Reference,
    output: Output,
    lifetime: Annotated[int, typer.Option(help="Seconds until the token expires.")] = 3600,
    file: Annotated[
        Path | None, typer.Option(help="Write the token here (0600) instead of printing it.")
    ] = None,
) -> None:
    """Make a one-time token with which the host's agent fetches its certificate."""
    client = client_of(context)
    path = f"/v1/hosts/{client.resolve('host', reference)}/enrollments"
    made = client.create(path, {"lifetime_s": lifetime})
    if file is not None:
        write_secret(file, made.pop("token"))
    if output.output is Format.JSON:
        print_json(made)
        return
    print(made.get("token") or f"written to {file}")
    # On stderr, so that a script can take the token from stdout.
    typer.echo(_instructions(context.obj, made, file), err=True)


@command
def revoke(context: typer.Context, reference: Reference, output: Output) -> None:
    """Take all certificates and tokens from a host; its flows stay until it is deleted."""
    client = client_of(context)
    host_id = client.resolve("host", reference)
    taken = client.create(f"/v1/hosts/{host_id}/revoke", {})
    if output.output is Format.JSON:
        print_json(taken)
    else:
        what = ", ".join(f"{taken[name]} {name}" for name in ("certificates", "tokens"))
        print(f"{host_id}: revoked {what}")


@command
def list_certificates(context: typer.Context, reference: Reference, output: Output) -> None:
    """List a host's certificates that have not expired, the newest first."""
    client = client_of(context)
    path = f"/v1/hosts/{client.resolve('host', reference)}/certificates"
    print_items(client.get(path)["items"], CERTIFICATES, output.output)


def add_host_commands(hosts: typer.Typer) -> None:
    """Add ``enroll``, ``revoke`` and ``certificates`` to ``vpcctl host``."""
    hosts.command("enroll")(enroll)
    hosts.command("revoke")(revoke)
    hosts.command("certificates")(list_certificates)


def _directory(place: Place) -> "PkiDirectory":
    # Imported late, as all that the client commands do without.
    from vpcctl.pki.directory import PkiDirectory

    return PkiDirectory(load_settings(place, pki_dir=place.pki_dir).pki_dir)


def _facts(directory: "PkiDirectory") -> Json:
    from vpcctl.pki import certificates

    authority, server = directory.ca_certificate(), directory.server_certificate()
    return {
        "pki_dir": str(directory.path),
        "authority_fingerprint": certificates.fingerprint(authority),
        "authority_ends": authority.not_valid_after_utc.isoformat(),
        "server_names": [] if server is None else list(certificates.server_names(server)),
        "server_ends": None if server is None else server.not_valid_after_utc.isoformat(),
    }


def _instructions(target: Target, made: Json, file: Path | None) -> str:
    api = target.base_url if target.base_url.startswith("https://") else "https://CONTROLLER:PORT"
    given = "" if file is None else f" < {file.name}"
    return (
        f"\nIt works once, until {made['expires_at']}. On the host, with the token on stdin:\n"
        f"  vpc-agent enroll --api {api} --token -{given}"
    )
