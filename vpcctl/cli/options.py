"""Options that commands share, as frozen dataclasses that :func:`command` turns into options."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Annotated, Any, get_type_hints

import typer

from vpcctl.cli.client import Query
from vpcctl.cli.errors import CliError
from vpcctl.cli.render import Format, Json

Reference = Annotated[str, typer.Argument(metavar="ID|NAME", help="Its id, or its unique name.")]
ItsVpc = Annotated[str, typer.Option(metavar="ID|NAME", help="The VPC it belongs to.")]
OfVpc = Annotated[str | None, typer.Option(metavar="ID|NAME", help="Only of this VPC.")]
ItsTenant = Annotated[
    str | None,
    typer.Option(
        metavar="TENANT", help="Its tenant; default: the token's, and 'default' for an admin."
    ),
]
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A name of at most 128 characters; '' for none.")
]


@dataclass(frozen=True, slots=True)
class Output:
    """How to print."""

    output: Annotated[
        Format,
        typer.Option("--output", "-o", envvar="VPCCTL_OUTPUT", help="For people or for programs."),
    ] = Format.TABLE


@dataclass(frozen=True, slots=True)
class Waiting(Output):
    """Whether to wait until the hosts have it."""

    wait: Annotated[
        bool, typer.Option("--wait", help="Return when every host concerned has it.")
    ] = False
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.", min=0, max=120)] = 30.0

    @property
    def query(self) -> Query:
        """The query parameters that ask the API for it."""
        return {"wait": "realized", "timeout": f"{self.timeout:g}"} if self.wait else {}


@dataclass(frozen=True, slots=True)
class Filters(Output):
    """What to list."""

    name: Annotated[str | None, typer.Option(help="Only with this name.")] = None
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Only with this tag; repeatable.")
    ] = None

    def query(self, **more: str | None) -> Query:
        """Return the query parameters, with those of *more* that are not None."""
        query: Query = given(name=self.name, **more)
        if self.tag:
            query["tag"] = [f"{key}:{value}" for key, value in parse_tags(self.tag).items()]
        return query


@dataclass(frozen=True, slots=True)
class Description:
    """What every resource may be told at its creation."""

    description: Annotated[str | None, typer.Option(help="A sentence about it.")] = None
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A tag; repeatable.")
    ] = None

    def body(self, name: str) -> Json:
        """Return the fields of a creation."""
        tags = parse_tags(self.tag) if self.tag else None
        return given(name=name, description=self.description, tags=tags)


@dataclass(frozen=True, slots=True)
class Changes:
    """What every resource may have changed."""

    name: Annotated[str | None, typer.Option(help="A new name; '' for none.")] = None
    description: Annotated[str | None, typer.Option(help="A new description; '' for none.")] = None
    tag: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="The new tags, all of them; '' for none."),
    ] = None

    def body(self) -> Json:
        """Return the fields of a change."""
        tags = None if self.tag is None else parse_tags([tag for tag in self.tag if tag])
        return given(name=self.name, description=self.description, tags=tags)


def given(**values: Any) -> Json:
    """Return those *values* that are not None: what the user gave."""
    return {name: value for name, value in values.items() if value is not None}


def parse_tags(texts: list[str]) -> dict[str, str]:
    """Return the tags written ``key=value``.

    Raises:
        CliError: a text has no ``=``.
    """
    tags = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise CliError(f"--tag: {text!r} is no tag; accepted: KEY=VALUE")
        tags[key] = value
    return tags


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Return *function* with its dataclass parameters spread out, as Typer needs them."""
    hints = get_type_hints(function, include_extras=True)
    groups = {
        name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)
    }
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in groups:
            parameters.extend(_spread(groups[name]))
        else:
            parameters.append(
                parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
            )

    def run(**values: Any) -> None:
        for name, group in groups.items():
            picked = {field.name: values.pop(field.name) for field in fields(group)}
            values[name] = group(**picked)
        function(**values)

    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def _spread(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    empty = inspect.Parameter.empty
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]
