"""``vpcctl sg rule``."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from vpcctl.cli import traffic
from vpcctl.cli.client import Client
from vpcctl.cli.errors import CliError, Exit
from vpcctl.cli.options import Output, Waiting, command, given
from vpcctl.cli.render import Column, Json, print_deleted, print_items
from vpcctl.cli.resources import InVpc, client_of
from vpcctl.model import ids

app = typer.Typer(no_args_is_help=True, help="Rules of security groups: what is allowed.")

Rule = Annotated[str, typer.Argument(metavar="RULE", help="The rule's id.")]
Group = Annotated[
    str, typer.Argument(metavar="GROUP", help="The security group: its id, or its unique name.")
]
_ANY, _SELF = "any", "self"
_OPTIONS = {"ingress": "--from", "egress": "--to"}
"""The option with a block, by direction; those with groups begin alike."""


def remote_of(item: Json) -> str:
    """Return who is on the other side of a rule."""
    remote = item["remote"] or {}
    return next((value for value in remote.values() if value), _ANY)


COLUMNS = (
    Column("ID", "id"),
    Column("DIRECTION", "direction"),
    Column("FAMILY", "family"),
    Column("TRAFFIC", traffic.show),
    Column("REMOTE", remote_of),
    Column("DESCRIPTION", "description", whole=False),
)


class Family(StrEnum):
    """A rule's family."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"


@dataclass(frozen=True, slots=True)
class Packets:
    """Which packets a rule allows."""

    ingress: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TRAFFIC", help=f"What may come in: {traffic.HELP} {traffic.SCTP} Repeatable."
        ),
    ] = None
    egress: Annotated[
        list[str] | None,
        typer.Option(metavar="TRAFFIC", help="What may go out, said alike. Repeatable."),
    ] = None
    family: Annotated[
        Family | None, typer.Option(help="Default: that of the block or of ICMP, else both.")
    ] = None

    def bodies(self) -> list[Json]:
        """Return the rules that are asked for, without their remote side.

        Raises:
            CliError: none is, or both directions at once.
        """
        if self.ingress and self.egress:
            raise CliError("rule: give --ingress or --egress: one of them, not both")
        if not self.ingress and not self.egress:
            raise CliError("rule: give --ingress or --egress")
        direction = "ingress" if self.ingress else "egress"
        family = None if self.family is None else str(self.family)
        return [
            {"direction": direction} | given(family=family) | traffic.parse(f"--{direction}", text)
            for text in self.ingress or self.egress or ()
        ]


@dataclass(frozen=True, slots=True)
class Remote:
    """Who is on the other side; several: a rule for each."""

    from_: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="CIDR|any", help="Who sends it, with --ingress."),
    ] = None
    from_group: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP", help="A group of the VPC that sends it; self: this one."),
    ] = None
    from_address_group: Annotated[
        list[str] | None, typer.Option(metavar="ID|NAME", help="An address group that sends it.")
    ] = None
    to: Annotated[
        list[str] | None,
        typer.Option(metavar="CIDR|any", help="Who gets it, with --egress."),
    ] = None
    to_group: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP", help="A group of the VPC that gets it; self: this one."),
    ] = None
    to_address_group: Annotated[
        list[str] | None, typer.Option(metavar="ID|NAME", help="An address group that gets it.")
    ] = None

    def bodies(self, client: Client, group: str, direction: str) -> list[Json | None]:
        """Return the remote sides that are asked for; None is anybody, which is the default.

        Args:
            client: finds groups by name.
            group: path of the group that the rule is in.
            direction: of the rule.

        Raises:
            CliError: the options are for the other direction, or a name cannot be found.
        """
        ours = (self.from_, self.from_group, self.from_address_group)
        theirs = (self.to, self.to_group, self.to_address_group)
        if direction == "egress":
            ours, theirs = theirs, ours
        if any(theirs):
            raise CliError("rule: --ingress goes with --from…, --egress with --to…")
        blocks, groups, address_groups = (list(part or ()) for part in ours)
        option = _OPTIONS[direction]
        instead = f"any, or {option}-group or {option}-address-group"
        found: list[Json | None] = [
            None if block.lower() == _ANY else {"cidr": traffic.parse_block(option, block, instead)}
            for block in blocks
        ]
        found += [{"security_group_id": id} for id in _groups(client, group, groups)]
        found += [{"address_group_id": client.resolve("ag", name)} for name in address_groups]
        return found or [None]


def _names(direction: str, count: int) -> dict[str, str]:
    """Return the options that fields of *count* rules of a direction come from."""
    option = _OPTIONS[direction]
    fields = traffic.names(direction) | {
        "remote.cidr": option,
        "remote.security_group_id": f"{option}-group",
        "remote.address_group_id": f"{option}-address-group",
    }
    if count == 1:
        return fields
    fields |= {"family": "--family", "description": "--description"}
    said = [f"rule {number} of {count}" for number in range(1, count + 1)]
    return {str(at): rule for at, rule in enumerate(said)} | {
        f"{at}.{field}": f"{rule}: {name}"
        for at, rule in enumerate(said)
        for field, name in fields.items()
    }


def _groups(client: Client, path: str, named: Sequence[str]) -> list[str]:
    """Return the ids of groups of the VPC of the group at *path*."""
    if all(name == _SELF or ids.is_id("sg", name) for name in named):
        return list(named)
    vpc_id = client.get(path)["vpc_id"]
    return [name if name == _SELF else client.resolve("sg", name, vpc_id=vpc_id) for name in named]


@app.command()
@command
def add(
    context: typer.Context,
    group: Group,
    packets: Packets,
    remote: Remote,
    within: InVpc,
    waiting: Waiting,
    description: Annotated[str | None, typer.Option(help="A sentence about it.")] = None,
) -> None:
    """Add rules to a security group: all that the options say, or none.

    For example: vpcctl sg rule add web --ingress tcp/443 --from 0.0.0.0/0
    """
    rules = packets.bodies()
    client = client_of(context, patience_s=waiting.timeout)
    path = within.find(client, "sg", group)
    remotes = remote.bodies(client, path, rules[0]["direction"])
    more = given(description=description)
    body = [rule | {"remote": one} | more for rule in rules for one in remotes]
    if any(one in body[:place] for place, one in enumerate(body)):
        raise CliError("rule: one of the rules is said twice")
    sent = body if len(body) > 1 else body[0]
    names = _names(rules[0]["direction"], len(body))
    made = client.create(f"{path}/rules", sent, waiting.query, names)
    print_items(made["items"], COLUMNS, waiting.output)


@app.command("list")
@command
def list_(context: typer.Context, group: Group, within: InVpc, output: Output) -> None:
    """List a security group's rules."""
    client = client_of(context)
    print_items(client.items(f"{within.find(client, 'sg', group)}/rules"), COLUMNS, output.output)


@app.command("set")
@command
def set_(
    context: typer.Context,
    group: Group,
    rule: Rule,
    description: Annotated[str, typer.Option(help="A sentence about it; '' for none.")],
    within: InVpc,
    waiting: Waiting,
) -> None:
    """Change a rule's description; what it allows never changes: add another, delete this one."""
    client = client_of(context, patience_s=waiting.timeout)
    path = _path_of_rule(within.find(client, "sg", group), rule)
    changed = client.change(path, {"description": description}, waiting.query)
    print_items([changed], COLUMNS, waiting.output)


@app.command()
@command
def delete(
    context: typer.Context, group: Group, rule: Rule, within: InVpc, waiting: Waiting
) -> None:
    """Delete a rule; what it alone allowed ends at once, unless the group keeps it."""
    client = client_of(context, patience_s=waiting.timeout)
    revision = client.delete(_path_of_rule(within.find(client, "sg", group), rule), waiting.query)
    print_deleted(rule, revision, waiting.output)


def _path_of_rule(group: str, rule: str) -> str:
    if not ids.is_id("sgr", rule):
        said = f"there is no rule {rule!r}; accepted: an id that 'vpcctl sg rule list' shows"
        raise CliError(said, Exit.NOT_FOUND)
    return f"{group}/rules/{rule}"
