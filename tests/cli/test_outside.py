"""What the commands of external networks, internet gateways and EIPs do."""

import re

import pytest

from tests.cli.test_resources import make_subnet, make_vpc
from tests.support.command_line import Served

pytestmark = pytest.mark.slow


def test_an_eip_reads_as_it_is_said(controller: Served, tenant: str) -> None:
    isp, web = f"isp-{tenant}", f"web-{tenant}"
    made = controller.document(
        *("external-network", "create", isp, "--provider", isp, "--cidr", "198.18.8.0/24"),
        *("--gateway", "198.18.8.1", "--pool", "198.18.8.16-198.18.8.31", "--mtu", "1400"),
    )
    assert (made["pools"], made["mtu"]) == (["198.18.8.16-198.18.8.31"], 1400)
    changed = controller.document(
        *("external-network", "set", isp, "--gateway", "", "--ipv6-cidr", "2001:db8:8::/64"),
        *("--pool", "198.18.8.16/28", "--pool", "198.18.8.99"),
    )
    assert (changed["gateway"], changed["ipv6_cidr"]) == (None, "2001:db8:8::/64")
    assert changed["pool_addresses"] == 17
    vpc = make_vpc(controller, tenant)
    subnet = make_subnet(controller, vpc, f"front-{tenant}")
    ports = [
        controller.document("port", "create", f"{name}-{tenant}", "--subnet", subnet["id"])
        for name in ("one", "two")
    ]
    gateway = ("internet-gateway", "create", f"out-{tenant}", "--vpc", vpc["id"])
    controller.document(*gateway, "--network", isp)
    named = ("--network", isp, "--tenant", tenant)
    eip = controller.document("eip", "create", web, *named, "--egress", "1G", "--ingress-pps", "9")
    assert (eip["limits"]["egress_kbps"], eip["limits"]["ingress_pps"]) == (1_000_000, 9)
    assert controller.run("eip", "create", "b", *named, "--egress", "fast").code == 2
    assert controller.run("eip", "create", "b", *named, "--address", "198.18.8.15").code == 2
    taken = controller.run("eip", "create", "b", *named, "--address", eip["address"])
    assert (taken.code, eip["id"] in taken.err) == (4, True)
    port = ports[0]["name"]
    waited = controller.run("eip", "associate", web, "--port", port, "--wait", "--timeout", "0")
    assert (waited.code, waited.out) == (7, "")
    assert f"no host carries it: {ports[0]['id']} is on no host" in waited.err
    assert controller.document("eip", "show", web)["port_id"] == ports[0]["id"]
    refused = controller.run("eip", "associate", web, "--port", ports[1]["name"])
    assert (refused.code, "move" in refused.err) == (4, True)
    two = ("--port", ports[1]["id"], "--ip", ports[1]["fixed_ips"][0])
    moved = controller.document("eip", "associate", eip["address"], *two, "--move")
    assert moved["port_id"] == ports[1]["id"]
    listed = controller.run("eip", "list", "--vpc", vpc["id"]).out
    assert re.search(rf"{eip['id']} +{web} +{re.escape(eip['address'])} .*pending", listed)
    assert controller.run("eip", "release", web).code == 4
    assert controller.run("port", "delete", ports[1]["id"]).code == 4
    assert controller.document("eip", "disassociate", web)["port_id"] is None
    assert controller.document("eip", "set", web, "--no-limits")["limits"] is None
    assert controller.document("eip", "release", eip["address"])["deleted"] is True
    assert controller.run("eip", "show", eip["address"]).code == 3
    assert controller.document("internet-gateway", "list", "--network", isp)[0]["vpc_id"]
    assert controller.run("external-network", "delete", isp).code == 4
    controller.document("internet-gateway", "delete", f"out-{tenant}")
    shown = controller.run("external-network", "list", "--name", isp).out
    assert re.search(r"0 of 17", shown)
    assert controller.document("external-network", "delete", isp)["deleted"] is True


def test_hosts_and_ports_get_their_labels(controller: Served, tenant: str) -> None:
    name = f"gw-{tenant}"
    host = controller.document("host", "create", name, "--gateway", "--zone", "a")
    assert (host["gateway"], host["availability_zone"]) == (True, "a")
    host = controller.document("host", "set", name, "--no-gateway", "--zone", "")
    assert (host["gateway"], host["availability_zone"]) == (False, None)
    subnet = make_subnet(controller, make_vpc(controller, tenant), f"front-{tenant}")
    made = controller.document(
        *("port", "create", f"fw-{tenant}", "--subnet", subnet["id"]),
        *("--no-source-dest-check", "--ingress", "500k"),
    )
    assert (made["source_dest_check"], made["limits"]["ingress_kbps"]) == (False, 500)
    changed = ("port", "set", made["id"], "--source-dest-check", "--no-limits")
    made = controller.document(*changed)
    assert (made["source_dest_check"], made["limits"]) == (True, None)
    controller.document("host", "delete", name)
