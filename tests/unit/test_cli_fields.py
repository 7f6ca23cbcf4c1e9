"""Fields of requests are said by what the user typed."""

from typing import Any

import typer

from vpcctl.cli import fields
from vpcctl.cli.fields import Names, name_of, names_of
from vpcctl.cli.main import app


def all_commands(command: Any) -> list[Any]:
    """Return all commands below one that do something, itself if there are none."""
    below = getattr(command, "commands", {}).values()
    return [found for each in below for found in all_commands(each)] if below else [command]


def names(*words: str) -> Names:
    """Return what is known of the command that *words* call."""
    command: Any = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]
    return names_of(typer.Context(command))


def test_every_parameter_that_a_field_is_said_to_come_from_is_one_of_some_command():
    commands = all_commands(typer.main.get_command(app))
    there = {parameter.name for command in commands for parameter in command.params}
    assert set((fields._FROM | fields._DHCP).values()) <= there


def test_a_field_is_said_by_what_the_command_takes():
    port = names("port", "create")
    assert name_of("fixed_ips.0", port) == "--ip"
    assert name_of("attachment.netns", port) == "--netns"
    assert name_of("dhcp_options.dns_servers.1", port) == "--dns"
    assert name_of("limits.egress_kbps", port) == "--egress"
    assert name_of("admin_up", port) == "--up"
    assert name_of("name", port) == "NAME"
    forward = names("nat-gateway", "forward", "add")
    assert (name_of("address", forward), name_of("ports", forward)) == ("--to", "TRAFFIC")
    assert name_of("address", names("eip", "create")) == "--address"


def test_a_field_that_no_parameter_is_for_stays_as_it_is():
    port = names("port", "create")
    assert name_of("fixed_ips_of", port) == "fixed_ips_of"
    assert name_of("drained", port) == "drained"
    assert name_of(None, port) is None
