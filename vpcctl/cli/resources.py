"""What the commands of every resource have in common."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from vpcctl.cli.client import Client, named_kind, path_of
from vpcctl.cli.fields import names_of
from vpcctl.cli.options import Changes, Filters, OfVpc, Output, Reference, Waiting, command
from vpcctl.cli.render import Column, Format, Json, print_deleted, print_item, print_items
from vpcctl.cli.target import Target
from vpcctl.model import ids

Printed = Callable[[Json, Format], None]
"""Prints one item."""


def client_of(context: typer.Context, *, patience_s: float = 0.0) -> Client:
    """Return a client for the controller that the command line names.

    Args:
        context: of the command.
        patience_s: seconds that a request may take beyond the usual, for waits.
    """
    target = context.obj
    if not isinstance(target, Target):
        raise TypeError("the root command leaves the target in the context")
    return Client(target, timeout_s=30.0 + patience_s, names=names_of(context))


@dataclass(frozen=True, slots=True)
class InVpc:
    """Where to look for a name, which several VPCs may have given."""

    vpc: Annotated[
        str | None,
        typer.Option(metavar="ID|NAME", help="Its VPC, where several have one of the name."),
    ] = None

    def resolve(self, client: Client, kind: ids.Kind, reference: str) -> str:
        """Return the id of what *reference* names."""
        return client.resolve_within(kind, reference, self.vpc)

    def find(self, client: Client, kind: ids.Kind, reference: str) -> str:
        """Return the path of what *reference* names."""
        return path_of(kind, self.resolve(client, kind, reference))


def state_of(item: Json) -> str:
    """Return the state in an item's status."""
    return item["status"]["state"]


def add_list_of_vpc(app: typer.Typer, kind: ids.Kind, columns: Sequence[Column]) -> None:
    """Add ``list`` to *app*, of what VPCs have."""

    def list_(context: typer.Context, filters: Filters, vpc: OfVpc = None) -> None:
        client = client_of(context)
        query = filters.query(vpc_id=client.resolve_given("vpc", vpc))
        print_items(client.items(path_of(kind), query), columns, filters.output)

    _register(app, "list", f"List {named_kind(kind)}s.", list_)


def add_show(app: typer.Typer, kind: ids.Kind) -> None:
    """Add ``show`` to *app*."""

    def show(context: typer.Context, reference: Reference, output: Output) -> None:
        client = client_of(context)
        item = client.get(path_of(kind, client.resolve(kind, reference)))
        print_item(item, output.output)

    _register(app, "show", f"Show {_one(kind)}.", show)


def add_show_of_vpc(
    app: typer.Typer, kind: ids.Kind, text: str | None = None, printed: Printed = print_item
) -> None:
    """Add ``show`` to *app*, of what VPCs have; *text* is what help says of it, if more."""

    def show(context: typer.Context, reference: Reference, within: InVpc, output: Output) -> None:
        client = client_of(context)
        printed(client.get(within.find(client, kind, reference)), output.output)

    _register(app, "show", text or f"Show {_one(kind)}.", show)


def add_set_of_vpc(
    app: typer.Typer, kind: ids.Kind, text: str, printed: Printed = print_item
) -> None:
    """Add ``set`` to *app*, of what VPCs have and of which no more changes than of anything."""

    def set_(
        context: typer.Context,
        reference: Reference,
        changes: Changes,
        within: InVpc,
        waiting: Waiting,
    ) -> None:
        client = client_of(context, patience_s=waiting.timeout)
        path = within.find(client, kind, reference)
        printed(client.change(path, changes.body(), waiting.query), waiting.output)

    _register(app, "set", text, set_)


def add_delete(app: typer.Typer, kind: ids.Kind) -> None:
    """Add ``delete`` to *app*."""

    def delete(context: typer.Context, reference: Reference, waiting: Waiting) -> None:
        client = client_of(context, patience_s=waiting.timeout)
        resource_id = client.resolve(kind, reference)
        revision = client.delete(path_of(kind, resource_id), waiting.query)
        print_deleted(resource_id, revision, waiting.output)

    _register(app, "delete", f"Delete {_one(kind)}.", delete)


def add_delete_of_vpc(app: typer.Typer, kind: ids.Kind, text: str | None = None) -> None:
    """Add ``delete`` to *app*, of what VPCs have; *text* is what help says of it, if more."""

    def delete(
        context: typer.Context, reference: Reference, within: InVpc, waiting: Waiting
    ) -> None:
        client = client_of(context, patience_s=waiting.timeout)
        resource_id = within.resolve(client, kind, reference)
        revision = client.delete(path_of(kind, resource_id), waiting.query)
        print_deleted(resource_id, revision, waiting.output)

    _register(app, "delete", text or f"Delete {_one(kind)}.", delete)


def _one(kind: ids.Kind) -> str:
    return f"{'an' if named_kind(kind)[0] in 'aeiouE' else 'a'} {named_kind(kind)}"


def _register(app: typer.Typer, name: str, text: str, function: Callable[..., None]) -> None:
    function.__doc__ = text
    app.command(name)(command(function))
