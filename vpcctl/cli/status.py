"""``vpcctl status``."""

from typing import Annotated

import typer

from vpcctl.cli.errors import CliError, Exit
from vpcctl.cli.options import Output, command
from vpcctl.cli.render import Column, Format, Json, print_items, print_json
from vpcctl.cli.resources import client_of

COLUMNS = (
    Column("HOST", "id"),
    Column("NAME", "name", whole=False),
    Column("AGENT", "state"),
    Column("FLOWS", "connection"),
    Column("REVISION", "realized_revision"),
    Column("PORTS", "ports"),
)


@command
def status(
    context: typer.Context,
    output: Output,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 unless every host is up and in sync.")
    ] = False,
) -> None:
    """Show hosts, revisions and how far the hosts are behind."""
    summary = client_of(context).get("/v1/status")
    if output.output is Format.JSON:
        print_json(summary)
    else:
        _print_summary(summary)
    if check and (late := _not_in_sync(summary)):
        raise CliError(f"not in sync: {', '.join(late)}", Exit.FAILED)


def _print_summary(summary: Json) -> None:
    print(f"revision {summary['revision']}, processed {summary['processed_revision']}", end="")
    print(f", lag {summary['lag']}")
    located = f"{summary['ports']} ports ({summary['located_ports']} located)"
    print(f"{summary['vpcs']} VPCs, {summary['subnets']} subnets, {located}")
    if summary["hosts"]:
        print()
        print_items(summary["hosts"], COLUMNS, Format.TABLE)
    for host in summary["hosts"]:
        if host.get("error"):
            print(f"{host['name'] or host['id']}: {host['error']}")


def _not_in_sync(summary: Json) -> list[str]:
    late = [
        host["name"] or host["id"]
        for host in summary["hosts"]
        if host["state"] != "up" or host["connection"] != "in_sync"
    ]
    return late or (["the southbound"] if summary["lag"] else [])
