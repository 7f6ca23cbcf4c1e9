"""``vpcctl db``."""

import typer

from vpcctl.cli.controller import Storage, load_settings
from vpcctl.cli.errors import CliError, Exit
from vpcctl.cli.options import command

app = typer.Typer(no_args_is_help=True, help="The controller's database.")


@app.command()
@command
def upgrade(storage: Storage) -> None:
    """Create the database, or bring it to this version's schema."""
    settings = load_settings(storage)
    from vpcctl.bootstrap import BootstrapError, upgrade_database

    try:
        upgrade_database(settings)
    except BootstrapError as error:
        raise CliError(str(error), Exit.FAILED) from None
    print("the database is up to date")
