"""What the resource commands do, against a running controller."""

import base64
import json
import re
import stat
from pathlib import Path

import pytest

from tests.support.command_line import Served, client

pytestmark = pytest.mark.slow


def make_vpc(controller: Served, tenant: str, *more: str) -> dict:
    arguments = ("vpc", "create", f"net-{tenant}", "--tenant", tenant)
    return controller.document(*arguments, "--cidr", "10.0.0.0/16", *more)


def make_subnet(controller: Served, vpc: dict, name: str, *more: str) -> dict:
    arguments = ("subnet", "create", name, "--vpc", vpc["id"], "--cidr", "10.0.1.0/24")
    return controller.document(*arguments, *more)


def test_vpc_is_created_shown_changed_listed_and_deleted(controller: Served, tenant: str) -> None:
    made = make_vpc(controller, tenant, "--cidr", "fd00:1::/48", "--tag", "env=prod")
    assert made["cidrs"] == ["10.0.0.0/16", "fd00:1::/48"]
    assert made["tags"] == {"env": "prod"}

    by_name = controller.document("vpc", "show", made["name"])
    assert by_name["id"] == made["id"]

    changed = controller.document(
        "vpc", "set", made["id"], "--description", "shop", "--tag", "env=test"
    )
    assert (changed["description"], changed["tags"]) == ("shop", {"env": "test"})
    assert changed["revision"] > made["revision"]

    tagged = controller.document("vpc", "list", "--tenant", tenant, "--tag", "env=test")
    assert [vpc["id"] for vpc in tagged] == [made["id"]]
    assert controller.document("vpc", "list", "--tenant", tenant, "--tag", "env=prod") == []

    gone = controller.document("vpc", "delete", made["id"], "--wait")
    assert gone["deleted"] is True
    assert gone["revision"] > changed["revision"]
    assert controller.run("vpc", "show", made["id"]).code == 3


def test_port_is_created_with_addresses_attached_and_detached(
    controller: Served, tenant: str
) -> None:
    vpc = make_vpc(controller, tenant)
    subnet = make_subnet(controller, vpc, f"front-{tenant}")
    host = controller.document("host", "create", f"hv-{tenant}")
    port = controller.document(
        *("port", "create", "web", "--subnet", subnet["name"], "--ip", "10.0.1.20"),
        *("--mac", "0e:00:00:00:00:2a", "--pair", "10.0.1.99/32=0e:00:00:00:00:99", "--down"),
    )
    assert port["fixed_ips"] == ["10.0.1.20"]
    assert port["mac_address"] == "0e:00:00:00:00:2a"
    assert port["admin_up"] is False
    assert port["allowed_address_pairs"] == [
        {"cidr": "10.0.1.99/32", "mac_address": "0e:00:00:00:00:99"}
    ]

    attach = ("port", "attach", port["id"], "--host", host["name"], "--netns", "web-1")
    assert controller.run(*attach).code == 0
    attached = controller.document("port", "show", port["id"])
    assert attached["attachment"] == {
        "kind": "namespace",
        "host_id": host["id"],
        "netns": "web-1",
        "interface": "eth0",
    }

    changed = controller.document("port", "set", port["id"], "--up", "--no-port-security")
    assert (changed["admin_up"], changed["port_security"]) == (True, False)

    assert controller.run("port", "detach", port["id"]).code == 0
    assert controller.document("port", "show", port["id"])["attachment"] is None


def test_a_name_that_several_have_is_refused_with_their_ids(
    controller: Served, tenant: str
) -> None:
    first, second = (make_vpc(controller, tenant) for _ in range(2))
    outcome = controller.run("vpc", "show", first["name"])
    assert outcome.code == 4
    assert f"{first['id']} (of tenant {tenant})" in outcome.err
    assert f"{second['id']} (of tenant {tenant})" in outcome.err
    assert "--vpc" not in outcome.err
    assert outcome.err.count("\n") == 1
    tables = controller.run("route", "list", "main")
    assert (tables.code, tables.err.count("\n")) == (4, 1)
    assert "; or give --vpc" in tables.err
    assert re.search(r"rtb-[0-9a-f]{17} \(of \S", tables.err)
    tables = controller.run("route-table", "delete", "main")
    assert (tables.code, "--vpc" in tables.err) == (4, True)


def test_what_has_one_name_in_two_vpcs_is_told_apart(controller: Served, tenant: str) -> None:
    name, ours = f"web-{tenant}", make_vpc(controller, tenant)
    other = controller.document(
        *("vpc", "create", f"other-{tenant}", "--tenant", tenant, "--cidr", "10.0.0.0/16")
    )
    of_ours = ("--vpc", ours["name"])
    made = {}
    for vpc in (ours, other):
        subnet = make_subnet(controller, vpc, name)
        port = ("port", "create", name, "--subnet", name, "--vpc", vpc["id"])
        table = ("route-table", "create", name, "--vpc", vpc["id"])
        made["subnet", vpc["id"]] = subnet["id"]
        made["port", vpc["id"]] = controller.document(*port)["id"]
        made["route-table", vpc["id"]] = controller.document(*table)["id"]
    assert controller.run("port", "create", "second", "--subnet", name).code == 4
    for kind in ("port", "subnet", "route-table"):
        unclear = controller.run(kind, "show", name)
        assert (unclear.code, "; or give --vpc" in unclear.err) == (4, True)
        assert controller.document(kind, "show", name, *of_ours)["id"] == made[kind, ours["id"]]
        changed = controller.document(kind, "set", name, "--description", "front", *of_ours)
        assert (changed["id"], changed["description"]) == (made[kind, ours["id"]], "front")
        refused = controller.run(kind, "delete", made[kind, other["id"]], *of_ours)
        assert refused.err.startswith("error: --vpc: ")
        assert controller.document(kind, "delete", name, *of_ours)["id"] == changed["id"]
        assert controller.document(kind, "show", name)["id"] == made[kind, other["id"]]


PORT = ("port", "set", "port-00000000000000000")
RULE = ("sg", "rule", "add", "sg-00000000000000000")
ENTRY = ("nacl", "entry", "add", "nacl-00000000000000000", "100")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("vpc", "show", "vpc-00000000000000000"), 3, "vpc-00000000000000000"),
        (("vpc", "show", "no-such-name"), 3, "no VPC named 'no-such-name'"),
        (("vpc", "create", "x", "--tenant", "t", "--cidr", "10.0.0.1/16"), 2, "error: --cidr: "),
        (("vpc", "create", "x", "--tenant", "t", "--cidr", "nonsense"), 2, "accepted:"),
        (("vpc", "create", "x", "--cidr", "10.0.0.0/16", "--tag", "oops"), 2, "KEY=VALUE"),
        (("vpc", "create", "x"), 2, "--cidr"),
        (("vpc", "list", "--output", "yaml"), 2, "yaml"),
        (("no-such-command",), 2, "no-such-command"),
        (("vpc", "create", "x", "--tenant", "t", "--cidr", "10.0.0.1/16"), 2, "set; accepted:"),
        (("port", "set", "port-00000000000000000"), 2, "nothing to change"),
        (("port", "attach", "port-00000000000000000"), 2, "attachment"),
        (("port", "set", "port-00000000000000000", "--sg", "x", "--sg", ""), 2, "sg: ''"),
        (("port", "list", "--output", "x"), 2, "'x' is not one of"),
        (("dhcp-options", "create", "x", "--lease", "1"), 2, "error: --lease: It is too small"),
        ((*PORT, "--lease", "1"), 2, "error: --lease: It is too small"),
        ((*PORT, "--mac", "fox"), 2, "error: --mac: "),
        ((*PORT, "--ip", "10.0.0.300"), 2, "error: --ip: "),
        ((*PORT, "--pair", "10.0.0.1/8"), 2, "error: --pair: "),
        ((*PORT, "--egress", "fast"), 2, "error: --egress: 'fast' is no rate"),
        ((*PORT, "--ingress-pps", "0"), 2, "error: --ingress-pps: "),
        (("host", "create", "x", "--vtep", "nowhere"), 2, "error: --vtep: "),
        (("port", "create", "x" * 129, "--subnet", "subnet-00000000000000000"), 2, "error: NAME: "),
        (("address-group", "create", "x", "--cidr", "office"), 2, "block such as 10.0.0.0/24"),
        ((*RULE, "--ingress", "any", "--from", "db"), 2, "any, or --from-group or --from-a"),
        ((*RULE, "--egress", "any", "--to", "db"), 2, "any, or --to-group or --to-address"),
        ((*RULE, "--ingress", "any", "--egress", "any"), 2, "one of them, not both"),
        ((*ENTRY, "accept"), 2, "error: Invalid value for 'action': 'accept' is not one of"),
        ((*ENTRY, "allow", "--ingress", "tcp", "--from", "any"), 2, "::/0 for all of IPv6"),
        ((*ENTRY, "allow", "--ingress", "tcp", "--from", "db"), 2, "from: 'db' is no block"),
        ((*ENTRY, "allow", "--ingress", "tcp", "--egress", "tcp"), 2, "not both"),
        (("nacl", "entry", "delete", "x", "100"), 2, "entry: one direction and one number"),
        (("nacl", "entry", "delete", "x", "1", "egress", "--ingress"), 2, "entry: one"),
    ],
)
def test_errors_are_one_line_and_the_exit_code_says_the_kind(
    controller: Served, arguments: tuple[str, ...], code: int, words: str
) -> None:
    outcome = controller.run(*arguments)
    assert outcome.code == code
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert words in outcome.err


def test_what_is_still_needed_is_a_conflict_that_names_the_blocker(
    controller: Served, tenant: str
) -> None:
    vpc = make_vpc(controller, tenant)
    subnet = make_subnet(controller, vpc, f"front-{tenant}")
    outcome = controller.run("vpc", "delete", vpc["id"])
    assert outcome.code == 4
    assert subnet["id"] in outcome.err


def test_a_tenants_token_sees_its_own_and_nothing_else(controller: Served, tenant: str) -> None:
    vpc = make_vpc(controller, tenant)
    made = controller.run("token", "create", "--role", "tenant", "--tenant", tenant)
    other = controller.run("token", "create", "--role", "tenant", "--tenant", "somebody-else")
    show = ("vpc", "show", vpc["id"], "--output", "json")
    assert controller.run(*show, token=made.out.strip()).document["id"] == vpc["id"]
    assert controller.run(*show, token=other.out.strip()).code == 3
    assert controller.run("host", "create", "hv", token=made.out.strip()).code == 5
    assert controller.run(*show, token="nonsense").code == 5


def test_a_revoked_token_is_refused(controller: Served, tenant: str) -> None:
    arguments = ("token", "create", "--role", "tenant", "--tenant", tenant)
    made = controller.document(*arguments)
    assert made["token"]["id"] in controller.run("token", "list").out
    assert controller.run("vpc", "list", token=made["secret"]).code == 0
    assert controller.run("token", "revoke", made["token"]["id"]).code == 0
    assert controller.run("vpc", "list", token=made["secret"]).code == 5


def test_the_flag_goes_before_the_token_before_the_variable_with_a_file(
    controller: Served, tenant: str, tmp_path: Path
) -> None:
    made = controller.document("token", "create", "--role", "tenant", "--tenant", tenant)
    admins, ours = str(controller.state_dir / "admin.token"), str(tmp_path / "ours")
    Path(ours).write_text(made["secret"])
    variables = {"VPCCTL_API": controller.api, "VPCCTL_TOKEN_FILE": admins}
    admin_only = ("token", "list")
    assert client(*admin_only, **variables).code == 0
    assert client(*admin_only, **variables, VPCCTL_TOKEN="").code == 0
    assert client(*admin_only, **variables, VPCCTL_TOKEN="bad").code == 5
    assert client(*admin_only, **variables, VPCCTL_TOKEN=made["secret"]).code == 5
    flag = ("--token-file", admins)
    assert client(*flag, *admin_only, **variables, VPCCTL_TOKEN="bad").code == 0
    assert client("--token-file", ours, *admin_only, **variables).code == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--role", "tenant"), "--tenant: A tenant's token needs tenant_id"),
        (("--role", "host"), "--host: A host's token needs host_id"),
        (("--role", "admin", "--tenant", "t"), "--tenant: An admin's token takes no tenant_id"),
        (
            ("--role", "admin", "--expires-at", "soon"),
            "--expires-at: It is no time; accepted: a time such as 2030-01-31T00:00:00Z",
        ),
    ],
)
def test_a_token_that_cannot_be_says_what_it_needs(
    controller: Served, arguments: tuple[str, ...], said: str
) -> None:
    refused = controller.run("token", "create", *arguments)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert refused.err.startswith(f"error: {said}")


def test_a_new_host_comes_with_its_token_and_how_to_start_the_agent(
    controller: Served, tenant: str, tmp_path: Path
) -> None:
    token_file = tmp_path / "keys" / "hv.token"
    outcome = controller.run("host", "create", f"hv-{tenant}", "--token-file", str(token_file))
    host_id = controller.document("host", "show", f"hv-{tenant}")["id"]
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
    assert f"vpc-agent --host-id {host_id}" in outcome.out
    assert f"--token-file {token_file}" in outcome.out
    secret = token_file.read_text().strip()
    assert secret not in outcome.out
    assert controller.run("host", "show", host_id, token=secret).code == 0
    again = controller.run("host", "create", f"hv2-{tenant}", "--token-file", str(token_file))
    assert (again.code, token_file.read_text().strip()) == (2, secret)
    assert controller.run("host", "show", f"hv2-{tenant}").code == 3


def test_status_counts_and_check_fails_while_a_host_is_missing(
    controller: Served, tenant: str
) -> None:
    host = controller.document("host", "create", f"hv-{tenant}")
    summary = controller.document("status")
    assert host["id"] in [each["id"] for each in summary["hosts"]]
    assert summary["revision"] >= host["revision"]
    outcome = controller.run("status", "--check")
    assert outcome.code == 1
    assert f"hv-{tenant}" in outcome.err


def test_events_tell_what_changed_in_order(controller: Served, tenant: str) -> None:
    vpc = make_vpc(controller, tenant)
    controller.run("vpc", "delete", vpc["id"])
    told = controller.run("events", "--after", str(vpc["revision"] - 1), "--output", "json")
    events = [json.loads(line) for line in told.out.splitlines()]
    ours = [event["action"] for event in events if event["resource_id"] == vpc["id"]]
    assert ours == ["created", "deleted"]


def test_piped_tables_have_whole_ids_and_no_colours(controller: Served, tenant: str) -> None:
    vpc = make_vpc(controller, tenant)
    subnet = make_subnet(controller, vpc, "n" * 100, "--description", "x" * 500)
    port = controller.document("port", "create", "p" * 100, "--subnet", subnet["id"])
    listed = controller.run("port", "list", "--vpc", vpc["id"])
    assert port["id"] in listed.out
    assert "p" * 100 in listed.out
    assert "\x1b" not in listed.out
    assert all(line == line.rstrip() for line in listed.out.splitlines())


def test_an_unreachable_controller_has_an_exit_code_of_its_own(
    controller: Served, tmp_path: Path
) -> None:
    nobody = f"unix:{tmp_path}/nobody.sock"
    outcome = controller.run("--api", nobody, "vpc", "list")
    assert outcome.code == 6
    assert nobody in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("api", ["foo", "ftp://foo:21", "http://", "http://foo:port", ""])
def test_what_is_no_address_of_an_api_is_a_usage_error(controller: Served, api: str) -> None:
    outcome = controller.run("--api", api, "vpc", "list")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "unix:/path" in outcome.err


def test_dhcp_options_by_command(controller: Served, tenant: str) -> None:
    made = controller.document(
        *("dhcp-options", "create", f"told-{tenant}", "--tenant", tenant, "--lease", "3600"),
        *("--dns", "10.0.0.2", "--dns", "10.0.0.3", "--domain", "shop.internal"),
        *("--route", "192.0.2.0/24=10.0.0.9"),
    )
    assert (made["lease_time_s"], made["dns_servers"]) == (3600, ["10.0.0.2", "10.0.0.3"])
    assert made["routes"] == [{"destination": "192.0.2.0/24", "next_hop": "10.0.0.9"}]
    assert made["id"] in controller.run("dhcp-options", "list").out
    changed = controller.document(
        "dhcp-options", "set", made["name"], "--domain", "", "--ntp", "10.0.0.4"
    )
    assert (changed["domain_name"], changed["ntp_servers"]) == (None, ["10.0.0.4"])
    vpc = make_vpc(controller, tenant)
    told = controller.document("vpc", "set", vpc["id"], "--dhcp-options", made["name"])
    assert told["dhcp_options_id"] == made["id"]
    assert controller.run("dhcp-options", "delete", made["id"]).code == 4
    assert (
        controller.document("vpc", "set", vpc["id"], "--dhcp-options", "")["dhcp_options_id"]
        is None
    )
    subnet = make_subnet(controller, vpc, f"front-{tenant}")
    port = controller.document(
        *("port", "create", f"p-{tenant}", "--subnet", subnet["id"], "--domain", "own.internal")
    )
    assert port["dhcp_options"]["domain_name"] == "own.internal"
    plain = controller.document("port", "set", port["id"], "--no-dhcp-options")
    assert plain["dhcp_options"] is None
    assert controller.run("dhcp-options", "delete", made["id"]).code == 0


def test_counters_of_a_port_that_is_nowhere_are_refused(controller: Served, tenant: str) -> None:
    vpc = make_vpc(controller, tenant)
    subnet = make_subnet(controller, vpc, f"lost-{tenant}")
    port = controller.document("port", "create", "lost", "--subnet", subnet["name"])
    refused = controller.run("port", "counters", port["id"])
    assert refused.code != 0
    assert "on no host" in refused.err


def test_dns_records_and_user_data_by_command(
    controller: Served, tenant: str, tmp_path: Path
) -> None:
    vpc = make_vpc(controller, tenant, "--domain", "shop.internal")
    assert vpc["dns_domain"] == "shop.internal"
    made = controller.document(
        *("dns", "create", "db", "a", "--vpc", vpc["id"], "--value", "10.0.1.9", "--ttl", "30")
    )
    assert (made["full_name"], made["values"]) == ("db.shop.internal", ["10.0.1.9"])
    assert made["id"] in controller.run("dns", "list", "--vpc", vpc["name"]).out
    changed = controller.document(
        "dns", "set", made["id"], "--value", "10.0.1.7", "--value", "10.0.1.8"
    )
    assert (changed["values"], changed["ttl"]) == (["10.0.1.7", "10.0.1.8"], 30)
    assert controller.run("dns", "delete", made["id"]).code == 0
    off = controller.document("vpc", "set", vpc["id"], "--no-dns")
    assert off["dns_enabled"] is False

    data, key = tmp_path / "user-data", tmp_path / "key.pub"
    data.write_text("#cloud-config\n")
    key.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBRsDO me@here\n")
    subnet = make_subnet(controller, vpc, f"front-{tenant}")
    port = controller.document("port", "create", f"p-{tenant}", "--subnet", subnet["id"])
    arguments = ("--user-data", str(data), "--key-file", str(key), "--tokens", "required")
    said = controller.document("port", "set", port["id"], *arguments)
    assert base64.b64decode(said["user_data"]) == b"#cloud-config\n"
    assert said["public_keys"] == [key.read_text().strip()]
    assert said["metadata_tokens"] == "required"
    missing = controller.run("port", "set", port["id"], "--user-data", str(tmp_path / "none"))
    assert missing.code == 2
