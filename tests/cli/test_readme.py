"""The README's commands about security groups, typed as they stand there."""

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


def test_the_security_groups_work_as_they_are_typed(controller: Served) -> None:
    typed = [shlex.split(line) for line in commands(section("Security groups"))]
    assert len(typed) > 20
    assert {line[0] for line in typed} == {"vpcctl"}
    shown = {}
    for line in (*map(shlex.split, BEFORE), *(one[1:] for one in typed), *map(shlex.split, AFTER)):
        outcome = controller.run(*line)
        assert outcome.code == 0, (line, outcome.err)
        shown[" ".join(line)] = outcome.out
    assert shown["sg show db"].count("tcp/5432") == 2
    assert "tcp/443" in shown["sg rule add web --ingress tcp/443 --from 0.0.0.0/0"]
