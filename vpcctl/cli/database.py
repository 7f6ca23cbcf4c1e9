"""``vpcctl db``."""

import typer

from vpcctl.cli.controller import Storage, load_settings
from vpcctl.cli.options import command

app = typer.Typer(no_args_is_help=True, help="The controller's database.")


@app.command()
@command
def upgrade(storage: Storage) -> None:
    """Create the database, or bring it to this version's schema."""
    settings = load_settings(storage)
    from vpcctl.bootstrap import upgrade_database

    upgrade_database(settings)
    print("the database is up to date")
