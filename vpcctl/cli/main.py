"""The ``vpcctl`` command."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.main

from vpcctl import __version__
from vpcctl.cli import (
    address_groups,
    database,
    dhcp_options,
    dns_records,
    eips,
    external_networks,
    hosts,
    internet_gateways,
    nat_gateways,
    network_acls,
    pki,
    ports,
    route_tables,
    routes,
    security_groups,
    subnets,
    tokens,
    vpcs,
)
from vpcctl.cli.errors import CliError, Exit
from vpcctl.cli.events import events
from vpcctl.cli.serve import serve
from vpcctl.cli.status import status
from vpcctl.cli.target import DEFAULT_API, Target

EPILOG = (
    "Exit codes: 0 done, 1 the controller failed, 2 usage or a value refused, 3 not found, "
    "4 conflict, 5 token refused, 6 controller unreachable or busy, 7 stored but not yet on "
    "every host, or carried by none."
)

app = typer.Typer(
    name="vpcctl",
    help="Virtual private clouds over Open vSwitch.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(vpcs.app, name="vpc")
app.add_typer(subnets.app, name="subnet")
app.add_typer(ports.app, name="port")
app.add_typer(dhcp_options.app, name="dhcp-options")
app.add_typer(dns_records.app, name="dns")
app.add_typer(security_groups.app, name="sg")
app.add_typer(address_groups.app, name="address-group")
app.add_typer(network_acls.app, name="nacl")
app.add_typer(route_tables.app, name="route-table")
app.add_typer(routes.app, name="route")
app.add_typer(external_networks.app, name="external-network")
app.add_typer(internet_gateways.app, name="internet-gateway")
app.add_typer(eips.app, name="eip")
app.add_typer(nat_gateways.app, name="nat-gateway")
app.add_typer(hosts.app, name="host")
pki.add_host_commands(hosts.app)
app.command()(status)
app.command()(events)
app.add_typer(tokens.app, name="token")
app.command()(serve)
app.add_typer(database.app, name="db")
app.add_typer(pki.app, name="pki")


def _print_version(value: bool) -> None:
    if value:
        print(f"vpcctl {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    api: Annotated[
        str,
        typer.Option(
            envvar="VPCCTL_API", metavar="URL", help="The API: http(s)://host:port or unix:/path."
        ),
    ] = DEFAULT_API,
    token_file: Annotated[
        Path | None,
        # No envvar: the option could not be told from the variable, which VPCCTL_TOKEN goes before.
        typer.Option(
            help="File with the bearer token; else VPCCTL_TOKEN is the token, else "
            "VPCCTL_TOKEN_FILE names the file; default: the admin token of a local `serve`.",
        ),
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option(envvar="VPCCTL_CA_FILE", help="Authority that signed the API's certificate."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Virtual private clouds over Open vSwitch."""
    context.obj = Target(api=api, token_file=token_file, ca_file=ca_file)


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line *arguments* and return the exit code; errors go to stderr."""
    try:
        result = _built()(arguments, prog_name="vpcctl", standalone_mode=False)
    except CliError as error:
        return _fail(str(error), error.code)
    except typer.TyperException as error:
        # Without arguments the message is the help text itself, which has been printed.
        return _fail(_plain(error.format_message()), error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python must not complain about it at exit.
        sys.stdout = None
        return Exit.OK
    return result if isinstance(result, int) else Exit.OK


def _built() -> Any:
    """Return the command with all that are below it."""
    built = typer.main.get_command(app)
    _show_as_flags(built, typer.Context(built, help_option_names=["-h", "--help"]))
    return built


def _show_as_flags(command: Any, context: typer.Context) -> None:
    """Have help show flags without a type, which looks as if they took a value: Typer's too."""
    for parameter in command.get_params(context):
        if getattr(parameter, "is_bool_flag", False):
            parameter.metavar = ""
    for name, each in getattr(command, "commands", {}).items():
        _show_as_flags(each, typer.Context(each, parent=context, info_name=name))


def _plain(message: str) -> str:
    """Return what is wrong with the command line without the words of who validated it."""
    return message.replace("Value error, ", "").replace("Input should be", "it should be")


def _fail(message: str, code: int) -> int:
    if message.strip():
        print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code
