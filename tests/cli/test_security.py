"""What the commands of security groups, address groups and network ACLs do."""

import re

import pytest

from tests.cli.test_resources import make_subnet, make_vpc
from tests.support.command_line import Served

pytestmark = pytest.mark.slow


def said(rule: dict) -> tuple:
    remote = rule["remote"] and next(value for value in rule["remote"].values() if value)
    return rule["direction"], rule["family"], rule["protocol"], rule["ports"], remote


def test_a_rule_reads_as_it_is_said(controller: Served, tenant: str) -> None:
    vpc, web = make_vpc(controller, tenant), f"web-{tenant}"
    group = controller.document("sg", "create", web, "--vpc", vpc["name"], "--tag", "tier=front")
    assert (group["stateful"], group["established"], group["rules"]) == (True, "revoke", [])
    added = controller.document(
        *("sg", "rule", "add", web, "--ingress", "tcp/443", "--from", "0.0.0.0/0")
    )
    assert [said(rule) for rule in added] == [("ingress", "ipv4", "tcp", "443", "0.0.0.0/0")]
    shown = controller.run("sg", "rule", "list", web).out
    assert re.search(rf"{added[0]['id']} +ingress +ipv4 +tcp/443 +0\.0\.0\.0/0", shown)
    again = controller.run("sg", "rule", "add", web, "--ingress", "tcp/443", "--from", "0.0.0.0/0")
    assert again.code == 4
    assert added[0]["id"] in again.err
    set_ = ("sg", "rule", "set", web, added[0]["id"], "--description", "the shop")
    assert controller.document(*set_) == [{**added[0], "description": "the shop"}]
    assert controller.run("sg", "rule", "delete", web, "tcp/443").code == 3
    assert controller.document("sg", "rule", "delete", web, added[0]["id"])["deleted"] is True
    assert controller.document("sg", "show", web)["rules"] == []
    assert controller.document("sg", "delete", web)["deleted"] is True


def test_rules_name_groups_address_groups_and_both_families(
    controller: Served, tenant: str
) -> None:
    vpc = make_vpc(controller, tenant)
    web = controller.document("sg", "create", f"web-{tenant}", "--vpc", vpc["id"])
    db = controller.document("sg", "create", f"db-{tenant}", "--vpc", vpc["id"])
    office = controller.document(
        *("address-group", "create", f"office-{tenant}", "--tenant", tenant),
        *("--cidr", "198.51.100.0/24", "--cidr", "2001:db8::/32"),
    )
    add = ("sg", "rule", "add", db["name"])
    from_web = controller.document(
        *add, "--ingress", "tcp/5432", "--from-group", web["name"], "--from-group", "self"
    )
    assert [said(rule) for rule in from_web] == [
        ("ingress", family, "tcp", "5432", group)
        for group in (web["id"], db["id"])
        for family in ("ipv4", "ipv6")
    ]
    from_office = controller.document(
        *add, "--ingress", "icmp/8", "--from-address-group", office["name"]
    )
    assert [said(rule)[1:] for rule in from_office] == [("ipv4", "icmp", None, office["id"])]
    assert from_office[0]["icmp_type"] == 8
    out = controller.document(*add, "--egress", "any", "--to", "any", "--description", "all")
    assert [said(rule) for rule in out] == [
        ("egress", family, "any", None, None) for family in ("ipv4", "ipv6")
    ]
    assert out[0]["description"] == "all"
    dns = controller.document(*add, "--egress", "udp/53", "--to", "10.0.0.0/8")
    assert [said(rule) for rule in dns] == [("egress", "ipv4", "udp", "53", "10.0.0.0/8")]
    listed = controller.document("sg", "list", "--vpc", vpc["id"])
    assert {group["name"]: group["rule_count"] for group in listed} == {
        "default": 4,
        web["name"]: 0,
        db["name"]: 8,
    }


def test_what_is_in_use_stays(controller: Served, tenant: str) -> None:
    vpc = make_vpc(controller, tenant)
    subnet = make_subnet(controller, vpc, f"front-{tenant}")
    web = controller.document("sg", "create", f"web-{tenant}", "--vpc", vpc["id"])
    port = controller.document(
        *("port", "create", "p", "--subnet", subnet["id"]),
        *("--sg", web["name"], "--sg", "default"),
    )
    (default,) = controller.document("sg", "list", "--vpc", vpc["id"], "--name", "default")
    assert port["security_groups"] == sorted([web["id"], default["id"]])
    assert [p["id"] for p in controller.document("port", "list", "--sg", web["name"])] == [
        port["id"]
    ]
    refused = controller.run("sg", "delete", web["name"])
    assert refused.code == 4
    assert port["id"] in refused.err
    assert controller.run("sg", "delete", "default", "--vpc", vpc["id"]).code == 4
    none = controller.document("port", "set", port["id"], "--sg", "")
    assert none["security_groups"] == []
    off = controller.document("port", "set", port["id"], "--no-port-security")
    assert off["security_groups"] is None
    refused = controller.run("port", "set", port["id"], "--sg", web["id"])
    assert refused.code == 2
    assert "port_security true" in refused.err
    on = controller.document("port", "set", port["id"], "--port-security", "--sg", web["name"])
    assert on["security_groups"] == [web["id"]]
    assert web["id"] in controller.run("port", "show", port["id"]).out


def test_groups_are_shown_and_changed(controller: Served, tenant: str) -> None:
    vpc = make_vpc(controller, tenant)
    kept = controller.document(
        "sg", "create", f"kept-{tenant}", "--vpc", vpc["id"], "--established", "keep"
    )
    assert kept["established"] == "keep"
    refused = controller.run("sg", "set", kept["id"], "--stateless")
    assert refused.code == 2
    changed = controller.document(
        "sg", "set", kept["id"], "--stateless", "--established", "revoke", "--name", "plain"
    )
    assert (changed["stateful"], changed["name"]) == (False, "plain")
    shown = controller.run("sg", "show", "default", "--vpc", vpc["id"]).out
    assert len(re.findall(r"sgr-[0-9a-f]{17} +(?:ingress|egress) +ipv[46] +any", shown)) == 4


def test_address_groups_have_their_blocks_changed(controller: Served, tenant: str) -> None:
    name = f"office-{tenant}"
    made = controller.document("address-group", "create", name, "--tenant", tenant)
    assert made["cidrs"] == []
    controller.document("address-group", "add", name, "198.51.100.0/24", "2001:db8::1")
    shown = controller.document("address-group", "show", name)
    assert shown["cidrs"] == ["198.51.100.0/24", "2001:db8::1/128"]
    refused = controller.run("address-group", "add", name, "203.0.113.0/24", "198.51.100.0/24")
    assert refused.code == 4
    removed = controller.document("address-group", "remove", name, "198.51.100.0/24")
    assert removed["cidrs"] == ["2001:db8::1/128"]
    changed = controller.document("address-group", "set", name, "--cidr", "192.0.2.0/24")
    assert changed["cidrs"] == ["192.0.2.0/24"]
    (listed,) = controller.document("address-group", "list", "--tenant", tenant)
    assert listed["cidr_count"] == 1
    assert controller.document("address-group", "delete", name)["deleted"] is True


def test_network_acls_have_entries_and_subnets(controller: Served, tenant: str) -> None:
    vpc, name = make_vpc(controller, tenant), f"edge-{tenant}"
    acl = controller.document("nacl", "create", name, "--vpc", vpc["id"])
    entry = ("nacl", "entry")
    controller.document(
        *entry, "add", name, "100", "allow", "--ingress", "tcp/443", "--from", "::/0"
    )
    both = controller.document(
        *entry, "add", name, "90", "deny", "--egress", "any", "--to", "10.0.0.0/8"
    )
    assert [(e["direction"], e["number"], e["action"], e["cidr"]) for e in both["entries"]] == [
        ("egress", 90, "deny", "10.0.0.0/8"),
        ("ingress", 100, "allow", "::/0"),
    ]
    taken = controller.run(*entry, "add", name, "90", "deny", "--egress", "any", "--to", "::/0")
    assert taken.code == 4
    assert controller.run(*entry, "add", name, "91", "deny", "--egress", "any").code == 2
    put = controller.document(
        *entry, "set", name, "90", "allow", "--egress", "udp/53", "--to", "::/0"
    )
    assert put["entries"][0]["ports"] == "53"
    subnet = make_subnet(controller, vpc, f"front-{tenant}", "--nacl", name)
    assert subnet["network_acl_id"] == acl["id"]
    refused = controller.run("nacl", "delete", name)
    assert (refused.code, subnet["id"] in refused.err) == (4, True)
    gone = controller.document("subnet", "set", subnet["id"], "--nacl", "")
    assert gone["network_acl_id"] is None
    assert controller.document("subnet", "set", subnet["id"], "--nacl", name)["network_acl_id"]
    controller.document("subnet", "set", subnet["id"], "--nacl", "")
    gone = controller.document(*entry, "delete", name, "90", "--egress")
    assert (gone["direction"], gone["number"], gone["deleted"]) == ("egress", 90, True)
    ping = (*entry, "add", name, "80", "deny", "--ingress", "icmpv6/128", "--from", "any")
    assert controller.document(*ping)["entries"][0]["cidr"] == "::/0"
    assert controller.document(*entry, "delete", name, "ingress", "80")["number"] == 80
    assert len(controller.document(*entry, "list", name)) == 1
    assert "tcp/443" in controller.run("nacl", "show", name).out
    assert controller.document("nacl", "list", "--vpc", vpc["id"])[0]["entry_count"] == 1
    assert controller.document("nacl", "delete", name)["deleted"] is True


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--ingress", "tcp", "--egress", "tcp"), "--ingress or --egress"),
        ((), "--ingress or --egress"),
        (("--ingress", "tcp/443/1"), "tcp/1000-1999"),
        (("--ingress", "icmp/x"), "0 to 255"),
        (("--ingress", "tcp/443", "--to", "10.0.0.0/8"), "--egress with --to"),
        (("--ingress", "tcp/2000-1000"), "1000-2000"),
        (("--ingress", "any/5"), "tcp, udp or sctp"),
        (("--ingress", "tcp", "--from", "10.0.0.1/8"), "10.0.0.0/8"),
        (("--ingress", "icmp", "--from", "::/0"), "icmpv6"),
        (("--ingress", "tcp", "--family", "ipv6", "--from", "10.0.0.0/8"), "an IPv6 block"),
    ],
)
def test_a_rule_that_cannot_be_says_what_can(
    controller: Served, tenant: str, arguments: tuple[str, ...], says: str
) -> None:
    vpc = make_vpc(controller, tenant)
    group = controller.document("sg", "create", f"web-{tenant}", "--vpc", vpc["id"])
    outcome = controller.run("sg", "rule", "add", group["id"], *arguments)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert says in outcome.err
    assert controller.document("sg", "rule", "list", group["id"]) == []


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [
        (("--ingress", "tcp/70000"), "--ingress: 70000 is no port"),
        (("--egress", "nonsense"), "--egress: nonsense is no protocol"),
        (("--ingress", "tcp", "--from", "10.0.0.1/8"), "--from: 10.0.0.1/8 has host bits"),
        (("--egress", "tcp", "--to", "10.0.0.1/8"), "--to: 10.0.0.1/8 has host bits"),
        (
            ("--ingress", "tcp", "--from-group", "sg-00000000000000000"),
            "--from-group: There is no security group",
        ),
        (("--ingress", "tcp/22", "--from", "10.0.0.0/8"), "An equal rule is there: sgr-"),
        (
            ("--ingress", "tcp/80", "--ingress", "tcp/70000"),
            "rule 2 of 2: --ingress: 70000 is no port",
        ),
        (
            ("--ingress", "tcp/22", "--from", "192.0.2.0/24", "--from", "10.0.0.0/8"),
            "rule 2 of 2: An equal rule is there: sgr-",
        ),
        (("--ingress", "tcp/80", "--ingress", "tcp/80"), "rule: one of the rules is said twice"),
    ],
)
def test_a_rule_that_is_refused_is_said_of_its_options(
    controller: Served, tenant: str, arguments: tuple[str, ...], begins: str
) -> None:
    vpc = make_vpc(controller, tenant)
    add = ("sg", "rule", "add", f"web-{tenant}")
    controller.document("sg", "create", f"web-{tenant}", "--vpc", vpc["id"])
    controller.document(*add, "--ingress", "tcp/22", "--from", "10.0.0.0/8")
    assert controller.run(*add, *arguments).err.startswith(f"error: {begins}")


def test_an_entry_that_is_refused_is_said_of_its_options(controller: Served, tenant: str) -> None:
    vpc, name = make_vpc(controller, tenant), f"edge-{tenant}"
    controller.document("nacl", "create", name, "--vpc", vpc["id"])
    https = ("--ingress", "tcp/443", "--from", "0.0.0.0/0")
    controller.document("nacl", "entry", "add", name, "100", "allow", *https)
    for way in ("add", "set"):
        entry = ("nacl", "entry", way, name, "90", "deny")
        for arguments, begins in (
            (("--egress", "tcp/70000", "--to", "::/0"), "--egress: 70000 is no port"),
            (("--ingress", "tcp", "--from", "10.0.0.1/8"), "--from: 10.0.0.1/8 has host"),
            (("--egress", "tcp", "--to", "10.0.0.1/8"), "--to: 10.0.0.1/8 has host bits"),
        ):
            assert controller.run(*entry, *arguments).err.startswith(f"error: {begins}")
    taken = controller.run("nacl", "entry", "add", name, "100", "deny", *https)
    assert taken.err.startswith("error: NUMBER: ")


def test_what_is_of_another_vpc_is_left_alone(controller: Served, tenant: str) -> None:
    """An id finds what it names whatever its VPC: who names another VPC means something else."""
    ours = make_vpc(controller, tenant)
    other = controller.document(
        *("vpc", "create", f"other-{tenant}", "--tenant", tenant, "--cidr", "10.0.0.0/16")
    )
    name, of_ours = f"two-{tenant}", ("--vpc", ours["name"])
    made = {
        (kind, vpc["id"]): controller.document(kind, "create", name, "--vpc", vpc["id"])["id"]
        for kind in ("sg", "nacl", "route-table")
        for vpc in (ours, other)
    }
    for kind, command in (
        ("sg", ("sg", "show")),
        ("sg", ("sg", "set", "--description", "x")),
        ("sg", ("sg", "delete")),
        ("sg", ("sg", "rule", "list")),
        ("sg", ("sg", "rule", "add", "--ingress", "tcp/22")),
        ("nacl", ("nacl", "show")),
        ("nacl", ("nacl", "set", "--description", "x")),
        ("nacl", ("nacl", "delete")),
        ("nacl", ("nacl", "entry", "list")),
        ("route-table", ("route-table", "show")),
        ("route-table", ("route-table", "main")),
        ("route-table", ("route", "list")),
    ):
        refused = controller.run(*command, made[kind, other["id"]], *of_ours)
        assert refused.code == 3, command
        assert refused.err.startswith(
            f"error: --vpc: {made[kind, other['id']]} is of {other['id']}"
        )
    for kind in ("sg", "nacl", "route-table"):
        for reference in (name, made[kind, ours["id"]]):
            found = controller.document(kind, "show", reference, *of_ours)
            assert found["id"] == made[kind, ours["id"]]


def test_acls_of_one_name_are_told_apart_by_their_vpc(controller: Served, tenant: str) -> None:
    ours, name = make_vpc(controller, tenant), f"edge-{tenant}"
    other = controller.document(
        *("vpc", "create", f"other-{tenant}", "--tenant", tenant, "--cidr", "10.0.0.0/16")
    )
    of_ours, acls = (
        ("--vpc", ours["name"]),
        [controller.document("nacl", "create", name, "--vpc", one["id"]) for one in (ours, other)],
    )
    unclear = controller.run("nacl", "show", name)
    assert (unclear.code, "or give --vpc" in unclear.err) == (4, True)
    https = ("--ingress", "tcp/443", "--from", "0.0.0.0/0")
    for way in ("add", "set"):
        put = controller.document("nacl", "entry", way, name, "9", "allow", *https, *of_ours)
        assert put["id"] == acls[0]["id"]
    assert len(controller.document("nacl", "entry", "list", name, *of_ours)) == 1
    gone = controller.document("nacl", "entry", "delete", name, "9", "--ingress", *of_ours)
    assert gone["id"] == acls[0]["id"]
    changed = controller.document("nacl", "set", name, "--description", "x", *of_ours)
    assert changed["id"] == acls[0]["id"]
    assert controller.document("nacl", "delete", name, *of_ours)["id"] == acls[0]["id"]
    assert controller.document("nacl", "show", name)["id"] == acls[1]["id"]
