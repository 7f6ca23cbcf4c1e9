"""``vpcctl serve``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from vpcctl.cli.controller import Storage, load_settings
from vpcctl.cli.errors import CliError, Exit
from vpcctl.cli.options import command, given


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the controller listens. The names are those of the settings."""

    api_listen: Annotated[
        list[str] | None,
        typer.Option(metavar="WHERE", help="host:port, unix:/path or https://…; repeatable."),
    ] = None
    openflow_listen: Annotated[
        list[str] | None,
        typer.Option(metavar="WHERE", help="tcp:host:port, unix:/path or ssl:…; repeatable."),
    ] = None
    openflow_targets: Annotated[
        list[str] | None,
        typer.Option("--openflow-target", metavar="WHERE", help="What switches are to connect to."),
    ] = None


@dataclass(frozen=True, slots=True)
class Running:
    """Further settings of a running controller."""

    run_dir: Annotated[Path | None, typer.Option(help="Directory of sockets and the lock.")] = None
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None


@command
def serve(storage: Storage, listening: Listening, running: Running) -> None:
    """Run the controller: the API and the southbound, until SIGTERM or Ctrl-C."""
    settings = load_settings(
        storage,
        **given(
            api_listen=listening.api_listen,
            openflow_listen=listening.openflow_listen,
            openflow_targets=listening.openflow_targets,
            run_dir=running.run_dir,
            log_level=running.log_level,
        ),
    )
    from vpcctl.bootstrap import BootstrapError, hand_over

    try:
        hand_over(settings)
    except BootstrapError as error:
        raise CliError(str(error), Exit.FAILED) from None
