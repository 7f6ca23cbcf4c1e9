"""Options of the commands that run the controller itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vpcctl.cli.errors import CliError

if TYPE_CHECKING:
    from vpcctl.settings import Settings


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the controller keeps things. The names are those of the settings."""

    config: Annotated[
        Path | None, typer.Option(help="TOML file with settings; default: VPCCTL_CONFIG.")
    ] = None
    state_dir: Annotated[
        Path | None, typer.Option(help="Directory of the database and the admin token.")
    ] = None
    database_url: Annotated[
        str | None, typer.Option(metavar="URL", help="sqlite:///path or postgresql://user@host/db.")
    ] = None


def load_settings(storage: Storage, **flags: Any) -> "Settings":
    """Return the settings, those given as flags first.

    Raises:
        CliError: one cannot be used.
    """
    # Imported late: the client commands must not wait for pydantic.
    from vpcctl.settings import SettingsError, load

    flags |= {"state_dir": storage.state_dir, "database_url": storage.database_url}
    try:
        return load(storage.config, flags)
    except SettingsError as error:
        raise CliError(str(error)) from None
