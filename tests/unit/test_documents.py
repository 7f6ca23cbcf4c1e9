"""Documents that say what the code says, held to it."""

import dataclasses
import re
import tomllib

from agent.settings import Settings as AgentSettings
from tests.support.command_line import REPOSITORY, vpcctl
from vpcctl.flows import fields, tables
from vpcctl.settings import Settings, load

DOCS = REPOSITORY / "docs"


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| `?([A-Za-z0-9_]+)`?[^|]*\|", text, re.M)


def section(name: str, title: str) -> str:
    text = (DOCS / name).read_text()
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_architecture_goes_table_by_table_in_order() -> None:
    told = first_cells(section("architecture.md", "What a packet meets"))
    assert told[1 : len(tables.TABLES) + 1] == [table.name for table in tables.TABLES]


def test_the_architecture_says_what_each_register_holds() -> None:
    told = first_cells(section("architecture.md", "What a packet meets"))
    used = (
        fields.SOURCE_PORT,
        fields.DEST_PORT,
        fields.VNI,
        fields.VPC,
        fields.LOOKUP_IPV4,
        fields.FLAGS,
        fields.REASON,
        fields.OUTSIDE,
        fields.LOOKUP_IPV6,
        fields.FOUND_MAC,
        fields.GROUP,
        fields.CELL,
        fields.JUDGED,
    )
    assert told[len(tables.TABLES) + 2 :] == [field.name for field in used]


def test_every_setting_has_its_line_and_no_other_is_there() -> None:
    told = (DOCS / "settings.md").read_text().partition("\n## ")[0]
    assert first_cells(told)[1:] == list(Settings.model_fields)


def test_every_setting_of_the_agent_has_its_line() -> None:
    cells = re.findall(r"^\| ([^|]*) \|", section("settings.md", "Settings of the agent"), re.M)
    told = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(told) == sorted(field.name for field in dataclasses.fields(AgentSettings))


def test_the_flags_of_serve_are_those_that_are_said() -> None:
    told = (DOCS / "settings.md").read_text().partition("\n| setting")[0]
    told = told.partition("Flags of `vpcctl serve`")[2].partition(".\n")[0]
    flags = set(
        re.findall(r"(?<![\w-])--[a-z][a-z-]+", vpcctl("serve", "--help", COLUMNS="200").out)
    )
    assert set(re.findall(r"`(--[a-z-]+)`", told)) == flags - {"--config", "--help"}


def test_the_example_file_can_be_used() -> None:
    block = re.search(r"```toml\n(.*?)```", (DOCS / "settings.md").read_text(), re.S)
    assert block
    settings = load(flags=tomllib.loads(block[1]))
    assert settings.targets == ("ssl:controller.example:6653",)
