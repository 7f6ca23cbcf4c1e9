"""Tables and fields as people read them."""

import pytest

from vpcctl.cli import render
from vpcctl.cli.errors import CliError, Exit, exit_for_status
from vpcctl.cli.options import parse_tags
from vpcctl.cli.render import Column, Format

COLUMNS = (Column("ID", "id"), Column("NAME", "name", whole=False), Column("N", lambda i: i["n"]))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ("", "-"),
        ([], "-"),
        (0, "0"),
        (True, "yes"),
        (["a", "b"], "a, b"),
        ({"k": "v", "n": None}, "k=v, n=-"),
    ],
)
def test_cells(value: object, text: str) -> None:
    assert render.cell(value) == text


def test_a_table_has_a_line_per_item_and_markup_is_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    items = [{"id": "x-1", "name": "[red]a[/red]", "n": 1}, {"id": "x-22", "name": None, "n": None}]
    render.print_items(items, COLUMNS, Format.TABLE)
    assert capsys.readouterr().out.splitlines() == [
        "ID    NAME          N",
        "x-1   [red]a[/red]  1",
        "x-22  -             -",
    ]


def test_an_item_is_shown_a_field_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    item = {"id": "x", "status": {"state": "active"}, "claims": [{"a": 1}, {"a": 2}], "tags": {}}
    render.print_item(item, Format.TABLE)
    assert capsys.readouterr().out.splitlines() == [
        "id            x",
        "status.state  active",
        "claims        a=1",
        "              a=2",
        "tags          -",
    ]


def test_what_is_deep_is_shown_a_field_a_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    claims = [{"state": "won", "link": {"ofport": 6}}, {"state": "lost", "link": {"ofport": 7}}]
    render.print_item({"id": "x", "claims": claims}, Format.TABLE)
    assert capsys.readouterr().out.splitlines() == [
        "id                    x",
        "claims.0.state        won",
        "claims.0.link.ofport  6",
        "claims.1.state        lost",
        "claims.1.link.ofport  7",
    ]


def test_tags_are_parsed_and_bad_ones_refused() -> None:
    assert parse_tags(["a=b", "c=", "d=e=f"]) == {"a": "b", "c": "", "d": "e=f"}
    with pytest.raises(CliError, match="KEY=VALUE"):
        parse_tags(["=x"])


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, Exit.USAGE),
        (401, Exit.AUTH),
        (403, Exit.AUTH),
        (404, Exit.NOT_FOUND),
        (409, Exit.CONFLICT),
        (412, Exit.CONFLICT),
        (422, Exit.USAGE),
        (429, Exit.UNREACHABLE),
        (500, Exit.FAILED),
        (503, Exit.UNREACHABLE),
        (504, Exit.NOT_REALIZED),
    ],
)
def test_exit_codes_follow_the_status(status: int, code: Exit) -> None:
    assert exit_for_status(status) is code
