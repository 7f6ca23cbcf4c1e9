"""What the commands of route tables, routes and NAT gateways do."""

import re

import pytest

from tests.cli.test_resources import make_subnet, make_vpc
from tests.support.command_line import Served

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def isp(controller: Served) -> str:
    return controller.document(
        *("external-network", "create", "routing-isp", "--provider", "routing-isp"),
        *("--cidr", "198.18.0.0/24", "--gateway", "198.18.0.1", "--pool", "198.18.0.64/26"),
    )["name"]


def test_routes_read_as_they_are_said(controller: Served, tenant: str, isp: str) -> None:
    vpc, out = make_vpc(controller, tenant), f"out-{tenant}"
    subnet = make_subnet(controller, vpc, f"front-{tenant}")
    in_vpc = ("--vpc", vpc["name"])
    port = controller.document("port", "create", f"fw-{tenant}", "--subnet", subnet["id"])
    internet = controller.document("internet-gateway", "create", out, *in_vpc, "--network", isp)
    added = controller.document(
        *("route", "add", "main", "0.0.0.0/0", *in_vpc, "--to", f"igw:{out}"),
        *("--description", "everything"),
    )
    unreached = f"no host reaches {internet['external_network_id']}"
    assert added["routes"] == [
        {
            "destination": "0.0.0.0/0",
            "targets": [internet["id"]],
            "target_states": [{"id": internet["id"], "state": "dead", "reason": unreached}],
            "description": "everything",
        }
    ]
    table = controller.document("route-table", "create", f"private-{tenant}", *in_vpc)
    name = table["name"]
    both = ("--to", f"port:fw-{tenant}", "--to", internet["id"])
    controller.document("route", "add", name, "0.0.0.0/0", *both)
    hole = controller.document("route", "set", name, "192.0.2.0/24", "--blackhole", "--wait")
    assert hole["status"]["state"] == "active"
    shown = controller.run("route", "list", name).out
    assert re.search(r"192\.0\.2\.0/24 +blackhole", shown)
    assert f"{port['id']} (dead: its source_dest_check is on" in shown
    assert {port["id"], internet["id"]} <= set(shown.split())
    back = make_subnet_of(controller, vpc, f"back-{tenant}", "--route-table", name)
    assert back["route_table_id"] == table["id"]
    circle = controller.run("subnet", "set", subnet["id"], "--route-table", name)
    assert circle.code == 2
    assert "circle" in circle.err
    kept = controller.run("vpc", "delete", vpc["id"])
    assert f"{internet['id']} (is an internet gateway of this VPC)" in kept.err
    left = controller.document("route", "delete", name, "192.0.2.0/24", "0.0.0.0/0")
    assert left["routes"] == []
    for wrong in (("--to", "out"), ("--blackhole", "--to", internet["id"])):
        assert controller.run("route", "add", name, "1.0.0.0/8", *wrong).code == 2
    for words, begins in (
        (("10.0.0.1/8", "--blackhole"), "DESTINATION: 10.0.0.1/8 has host bits"),
        (("1.0.0.0/8", "--to", internet["id"], "--to", internet["id"]), f"--to: {internet['id']}"),
    ):
        for way in ("add", "set"):
            assert controller.run("route", way, name, *words).err.startswith(f"error: {begins}")
    assert controller.document("route-table", "main", name)["main"]
    assert controller.run("route-table", "main", "main", *in_vpc).code == 0
    listed = controller.document("route-table", "list", *in_vpc)
    assert [(one["name"], one["main"], one["subnet_count"]) for one in listed] == [
        ("main", True, 0),
        (name, False, 1),
    ]


def make_subnet_of(controller: Served, vpc: dict, name: str, *more: str) -> dict:
    where = ("--vpc", vpc["id"], "--cidr", "10.0.2.0/24")
    return controller.document("subnet", "create", name, *where, *more)


def test_ports_are_forwarded(controller: Served, tenant: str, isp: str) -> None:
    vpc, nat = make_vpc(controller, tenant), f"nat-{tenant}"
    subnet = make_subnet(controller, vpc, f"front-{tenant}")
    controller.document("port", "create", "web", "--subnet", subnet["id"], "--ip", "10.0.1.20")
    eips = [
        controller.document("eip", "create", f"{n}-{tenant}", "--network", isp, "--tenant", tenant)
        for n in ("one", "two")
    ]
    made = controller.document(
        *("nat-gateway", "create", nat, "--vpc", vpc["id"], "--network", isp),
        *("--eip", eips[0]["name"], "--eip", eips[1]["address"]),
    )
    assert {eip["id"] for eip in made["eips"]} == {eip["id"] for eip in eips}
    add = ("nat-gateway", "forward", "add", nat)
    to = ("--to", "10.0.1.20:8443", "--eip", eips[0]["address"])
    (forward,) = controller.document(*add, "tcp/443", *to)
    assert (forward["address"], forward["target_ports"]) == ("10.0.1.20", "8443")
    assert controller.run(*add, "icmp", *to).code == 2
    assert controller.run(*add, "udp/53", "--to", "web").code == 2
    ranges = controller.run(*add, "tcp/9090-9095", "--to", "10.0.1.20:9000-9005")
    assert (ranges.code, "what its first port becomes" in ranges.err) == (2, True)
    for traffic, where, begins in (
        ("tcp/70000", "10.0.1.20", "TRAFFIC: 70000 is no port"),
        ("tcp/80", "10.0.1.99", "--to: No port of"),
        ("tcp/80-90", "10.0.1.20:65535", "--to: 11 ports from 65535 on"),
    ):
        refused = controller.run(*add, traffic, "--to", where, "--eip", eips[0]["id"])
        assert refused.err.startswith(f"error: {begins}")
    shown = controller.run("nat-gateway", "forward", "list", nat).out
    assert re.search(rf"{eips[0]['address']} +tcp/443 +10\.0\.1\.20:8443", shown)
    assert forward["id"] in controller.run("nat-gateway", "show", nat).out
    delete = ("nat-gateway", "forward", "delete", nat)
    assert controller.run(*delete, "tcp/443").code == 3
    assert controller.document(*delete, forward["id"])["deleted"] is True
    only = controller.document("nat-gateway", "set", nat, "--eip", eips[1]["name"])
    assert [eip["id"] for eip in only["eips"]] == [eips[1]["id"]]
    assert controller.document("nat-gateway", "delete", nat)["deleted"] is True


def test_a_host_is_drained(controller: Served, tenant: str) -> None:
    host = controller.document("host", "create", f"gw-{tenant}", "--gateway")
    assert controller.document("host", "drain", host["name"])["drained"] is True
    assert controller.document("host", "undrain", host["name"])["drained"] is False
