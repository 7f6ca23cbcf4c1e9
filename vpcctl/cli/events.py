"""``vpcctl events``."""

import json
import time
from typing import Annotated

import typer

from vpcctl.cli.client import Client, Query
from vpcctl.cli.options import Output, command
from vpcctl.cli.render import Format, Json, cell
from vpcctl.cli.resources import client_of

_QUIET_S = 1.0
_RECONNECT_S = 0.5


@command
def events(
    context: typer.Context,
    output: Output,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until interrupted.")
    ] = False,
    after: Annotated[
        str | None,
        typer.Option(
            metavar="REVISION[.SEQUENCE]",
            help="Only what came later; default: all, or with --follow from now on.",
        ),
    ] = None,
) -> None:
    """Print what changed, an event a line (a JSON object a line with --output json)."""
    client = client_of(context)
    position = after or ("" if follow else "0")
    while True:
        position = _print_from(client, position, output.output, follow=follow)
        if not follow:
            return
        # The stream ended: the controller restarts, or let go of a slow reader.
        time.sleep(_RECONNECT_S)


def _print_from(client: Client, position: str, output: Format, *, follow: bool) -> str:
    """Print events until the stream ends and return the last one's position."""
    idle_s = None if follow else _QUIET_S
    query: Query = {"after": position} if position else {}
    for event in client.events(query, idle_s=idle_s):
        position = event["id"] or position
        print(json.dumps(event) if output is Format.JSON else _line(event), flush=True)
    return position


def _line(event: Json) -> str:
    subject = f"{event['action']:<8} {event['resource_id'] or event['kind']}"
    detail = cell(event.get("detail"))
    return f"{event['time']}  {subject}" + ("" if detail == "-" else f"  {detail}")
