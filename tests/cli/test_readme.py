"""The README's commands about security groups and the outside, typed as they stand there."""

import shlex

import pytest

from tests.labs.test_readme import commands, section
from tests.support.command_line import Served

pytestmark = pytest.mark.slow

# What "Your first VPC" leaves, but for hosts, of which there are none here.
BEFORE = (
    "vpc create shop --tenant acme --cidr 10.7.0.0/16 --cidr fd07::/48",
    "subnet create web --vpc shop --cidr 10.7.1.0/24 --ipv6-cidr fd07:0:0:1::/64",
    "subnet create db --vpc shop --cidr 10.7.2.0/24",
    "port create web-1 --subnet web",
    "port create db-1 --subnet db",
)
AFTER = (
    "port delete web-1",
    "port delete db-1",
    "subnet delete web",
    "subnet delete db",
    "vpc delete shop",
)


def typed(controller: Served, title: str) -> dict[str, str]:
    """Type a section's commands; return what each showed."""
    lines = [shlex.split(line) for line in commands(section(title))]
    assert {line[0] for line in lines} == {"vpcctl"}
    shown = {}
    for line in (*map(shlex.split, BEFORE), *(one[1:] for one in lines), *map(shlex.split, AFTER)):
        outcome = controller.run(*line)
        assert outcome.code == 0, (line, outcome.err)
        shown[" ".join(line)] = outcome.out
    return shown


def test_the_world_outside_works_as_it_is_typed(controller: Served) -> None:
    shown = typed(controller, "Out to the world")
    assert len(shown) > 25
    assert "203.0.113.16" in shown["eip show web"]
    assert "100000" in shown["eip show web"]


def test_the_security_groups_work_as_they_are_typed(controller: Served) -> None:
    shown = typed(controller, "Security groups")
    assert len(shown) > 30
    assert shown["sg show db"].count("tcp/5432") == 2
    assert "tcp/443" in shown["sg rule add web --ingress tcp/443 --from 0.0.0.0/0"]
