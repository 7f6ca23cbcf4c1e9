"""Output: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Json = dict[str, Any]
_UNBOUNDED = 100_000


class Format(StrEnum):
    """How a command prints."""

    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        title: its heading.
        value: what it shows of an item: a field's name, or a function of the item.
        whole: never broken over lines (ids, states); other columns fold on narrow terminals.
    """

    title: str
    value: str | Callable[[Json], Any]
    whole: bool = True

    def text(self, item: Json) -> str:
        """Return the cell for *item*."""
        value = item.get(self.value) if isinstance(self.value, str) else self.value(item)
        return cell(value)


def cell(value: Any, separator: str = ", ") -> str:
    """Return *value* as people read it: ``-`` for nothing, ``k=v`` for tags."""
    if value is None or value == "" or value == [] or value == {}:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return separator.join(cell(part) for part in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={cell(part)}" for key, part in value.items())
    return str(value)


def lines(values: Sequence[Any]) -> str:
    """Return *values* one per line, for a cell that may hold several."""
    return cell(list(values), "\n")


def print_json(document: Any) -> None:
    """Print *document* as JSON that a program can read."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def print_items(items: Sequence[Json], columns: Sequence[Column], output: Format) -> None:
    """Print a list of items."""
    if output is Format.JSON:
        print_json(list(items))
    else:
        rows = [[column.text(item) for column in columns] for item in items]
        print_table([column.title for column in columns], rows, [c.whole for c in columns])


def print_item(item: Json, output: Format) -> None:
    """Print one item, a field a line."""
    if output is Format.JSON:
        print_json(item)
        return
    fields = _flatten(item)
    width = max(len(name) for name, _ in fields)
    for name, text in fields:
        first, *rest = text.splitlines() or ["-"]
        print(f"{name:<{width}}  {first}")
        for line in rest:
            print(f"{'':<{width}}  {line}")


def print_parts(item: Json, name: str, columns: Sequence[Column], output: Format) -> None:
    """Print one item: its fields, then the parts in its field *name* as a table."""
    if output is Format.JSON:
        print_json(item)
        return
    print_item({field: value for field, value in item.items() if field != name}, output)
    if item[name]:
        print()
        print_items(item[name], columns, output)


def print_deleted(id: str, revision: int | None, output: Format, *, says: str = "deleted") -> None:
    """Print that something is gone, and the revision that this made."""
    if output is Format.JSON:
        print_json({"id": id, "deleted": True, "revision": revision})
    else:
        print(f"{id} {says}")


def print_table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], whole: Sequence[bool]
) -> None:
    """Print a table: within the terminal's width, or as wide as it gets when piped."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title, unbroken in zip(titles, whole, strict=True):
        table.add_column(title, no_wrap=unbroken, overflow="fold")
    for row in rows:
        table.add_row(*(Text(text) for text in row))
    console = Console(width=None if terminal else _UNBOUNDED, highlight=False)
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        print(line.rstrip())


def _is_deep(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(part, dict) for part in value.values())


def _flatten(item: Json, prefix: str = "") -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    for name, value in item.items():
        if isinstance(value, dict) and name != "tags" and value:
            fields.extend(_flatten(value, f"{prefix}{name}."))
        elif isinstance(value, list) and any(_is_deep(part) for part in value):
            for at, part in enumerate(value):
                fields.extend(_flatten(part, f"{prefix}{name}.{at}."))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            fields.append((prefix + name, "\n".join(cell(part) for part in value)))
        else:
            fields.append((prefix + name, cell(value)))
    return fields
