"""Bad input about the world outside: a clear problem, and nothing has changed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.api.support import BOTH, Api, assert_problem, network, report
from tests.api.test_api_security import create
from tests.api.unchanged import Contents

pytestmark = BOTH
POOL = "203.0.113.16-203.0.113.31"


@dataclass(frozen=True)
class Refusal:
    """What is said of bad input.

    Attributes:
        status: HTTP status.
        field: that is to blame.
        accepted: part of what is said would be accepted.
        blockers: ids of what stands in the way.
    """

    status: int
    field: str | None
    accepted: str
    blockers: tuple[str, ...] = ()


def refused(
    contents: Contents, ask: Callable[[], httpx.Response], expected: Refusal
) -> dict[str, Any]:
    """Check that a request is refused with a problem that helps, and that nothing has changed."""
    before = contents()
    problem = assert_problem(ask(), expected.status)
    assert contents() == before
    assert problem["detail"]
    assert problem["field"] == expected.field
    assert expected.accepted in (problem["accepted"] or ""), problem
    assert sorted(one["id"] for one in problem["blockers"] or ()) == sorted(expected.blockers)
    return problem


@dataclass
class Site:
    """A tenant's VPC with a way out, two ports, and an EIP that one of them has."""

    api: Api
    contents: Contents
    tenant: httpx.Client
    isp: str
    vpc: dict[str, Any]
    subnet: dict[str, Any]
    ports: list[dict[str, Any]]
    gateway: str
    eip: dict[str, Any]

    def post(self, plural: str, **body: Any) -> Callable[[], httpx.Response]:
        return lambda: self.tenant.post(f"/v1/{plural}", json=body)

    def patch(self, path: str, **body: Any) -> Callable[[], httpx.Response]:
        return lambda: self.tenant.patch(f"/v1/{path}", json=body)

    def put(self, path: str, **body: Any) -> Callable[[], httpx.Response]:
        return lambda: self.tenant.put(f"/v1/{path}", json=body)


@pytest.fixture(scope="module")
def site(api: Api) -> Site:
    provider = {"provider": "isp", "cidr": "203.0.113.0/24", "gateway": "203.0.113.1"}
    isp = create(api.admin, "external-networks", **provider, pools=["203.0.113.16/28"])["id"]
    tenant = api.tenant("refused")
    vpc, subnet = network(tenant)
    ports = [
        create(tenant, "ports", subnet_id=subnet["id"], source_dest_check=False) for _ in range(2)
    ]
    leads = {"vpc_id": vpc["id"], "external_network_id": isp}
    gateway = create(tenant, "internet-gateways", **leads)["id"]
    eip = create(tenant, "eips", external_network_id=isp)
    stands = tenant.put(f"/v1/eips/{eip['id']}/association", json={"port_id": ports[0]["id"]})
    assert stands.status_code == 200, stands.text
    return Site(api, Contents(api), tenant, isp, vpc, subnet, ports, gateway, eip)


@pytest.mark.parametrize("address", ["203.0.113.15", "203.0.113.1", "198.51.100.16", "2001:db8::1"])
def test_an_address_outside_every_pool(site: Site, address: str) -> None:
    ask = site.post("eips", external_network_id=site.isp, address=address)
    refused(site.contents, ask, Refusal(422, "address", POOL))


def test_a_pool_that_overlaps_a_vpcs_own_addresses(site: Site) -> None:
    tenant = site.tenant
    inside = create(tenant, "vpcs", cidrs=["203.0.113.0/25"])["id"]
    apart = "a VPC and an external network that share no address"
    leads = {"vpc_id": inside, "external_network_id": site.isp}
    overlaps = Refusal(409, "external_network_id", apart, (site.isp, inside))
    refused(site.contents, site.post("internet-gateways", **leads), overlaps)
    eip = create(tenant, "eips", external_network_id=site.isp)["id"]
    refused(site.contents, site.post("nat-gateways", **leads, eip_ids=[eip]), overlaps)
    grown = site.patch(f"vpcs/{site.vpc['id']}", cidrs=[*site.vpc["cidrs"], "203.0.113.16/28"])
    refused(site.contents, grown, Refusal(409, "cidrs", apart, (site.isp, site.vpc["id"])))


def test_a_pool_that_is_not_of_its_network(site: Site) -> None:
    path = f"/v1/external-networks/{site.isp}"
    for pool in ("10.0.0.16/28", "203.0.113.250-203.0.114.3", "203.0.113.1"):
        ask = {"pools": ["203.0.113.16/28", pool]}
        refused(
            site.contents,
            lambda ask=ask: site.api.admin.patch(path, json=ask),
            Refusal(422, "pools.1", "203.0.113.0/24"),
        )


def test_an_eip_already_used(site: Site) -> None:
    (first, second), eip = site.ports, site.eip["id"]
    to = f"eips/{eip}/association"
    refused(
        site.contents,
        site.put(to, port_id=second["id"]),
        Refusal(409, "move", "true", (first["id"],)),
    )
    again = site.post("eips", external_network_id=site.isp, address=site.eip["address"])
    refused(site.contents, again, Refusal(409, "address", "an address that is no EIP", (eip,)))
    other = create(site.tenant, "eips", external_network_id=site.isp)["id"]
    rival = site.put(f"eips/{other}/association", port_id=first["id"])
    free = "an address of the port that no EIP stands for"
    refused(site.contents, rival, Refusal(409, "fixed_ip", free, (eip,)))
    leads = {"vpc_id": site.vpc["id"], "external_network_id": site.isp}
    shared = site.post("nat-gateways", **leads, eip_ids=[other, eip])
    refused(
        site.contents, shared, Refusal(409, "eip_ids.1", "an EIP that nothing uses", (first["id"],))
    )
    nat = create(site.tenant, "nat-gateways", **leads, eip_ids=[other])["id"]
    taken = site.put(f"eips/{other}/association", port_id=second["id"], move=True)
    refused(site.contents, taken, Refusal(409, "eip_id", "an EIP that no NAT gateway uses", (nat,)))


def test_a_route_to_a_target_in_another_vpc(site: Site) -> None:
    tenant = site.tenant
    elsewhere, subnet = network(tenant, "10.9.0.0/16")
    port = create(tenant, "ports", subnet_id=subnet["id"], source_dest_check=False)["id"]
    leads = {"vpc_id": elsewhere["id"], "external_network_id": site.isp}
    gateway = create(tenant, "internet-gateways", **leads)["id"]
    eip = create(tenant, "eips", external_network_id=site.isp)["id"]
    nat = create(tenant, "nat-gateways", **leads, eip_ids=[eip])["id"]
    table = create(tenant, "route-tables", vpc_id=site.vpc["id"])["id"]
    for target in (port, gateway, nat):
        route = {"destination": "192.0.2.0/24", "targets": [site.ports[0]["id"], target]}
        refused(
            site.contents,
            site.post(f"route-tables/{table}/routes", **route),
            Refusal(422, "targets.1", "igw-"),
        )
        refused(
            site.contents,
            site.patch(f"route-tables/{table}", routes=[route]),
            Refusal(422, "routes.0.targets.1", "igw-"),
        )
        refused(
            site.contents,
            site.post("route-tables", vpc_id=site.vpc["id"], routes=[route]),
            Refusal(422, "routes.0.targets.1", "igw-"),
        )


def test_a_default_route_that_would_loop(site: Site) -> None:
    """By the route, by the table that a subnet gets, and by the table that becomes main."""
    tenant, port = site.tenant, site.ports[0]["id"]
    leads_out = "a port in a subnet whose own default route leads out"
    tables = tenant.get("/v1/route-tables", params={"vpc_id": site.vpc["id"]}).json()["items"]
    main = next(one["id"] for one in tables if one["main"])
    default = {"destination": "0.0.0.0/0", "targets": [port]}
    refused(
        site.contents,
        site.post(f"route-tables/{main}/routes", **default),
        Refusal(422, "targets", leads_out),
    )
    refused(
        site.contents,
        site.patch(f"route-tables/{main}", routes=[default]),
        Refusal(422, "routes.0.targets", leads_out),
    )
    table = create(tenant, "route-tables", vpc_id=site.vpc["id"], routes=[default])["id"]
    named = site.patch(f"subnets/{site.subnet['id']}", route_table_id=table)
    refused(site.contents, named, Refusal(422, "route_table_id", leads_out))
    refused(
        site.contents,
        site.patch(f"route-tables/{table}", main=True),
        Refusal(422, "main", leads_out),
    )


def test_an_external_network_deleted_under_use(site: Site) -> None:
    """What stands in the way is named, and what has to happen to each."""
    api, tenant = site.api, site.tenant
    body = {"provider": "used", "cidr": "198.18.7.0/24", "pools": ["198.18.7.16/28"]}
    used = create(api.admin, "external-networks", **body)["id"]
    vpc, _ = network(tenant, "10.7.0.0/16")
    leads = {"vpc_id": vpc["id"], "external_network_id": used}
    gateway = create(tenant, "internet-gateways", **leads)["id"]
    eips = [create(tenant, "eips", external_network_id=used) for _ in range(2)]
    nat = create(tenant, "nat-gateways", **leads, eip_ids=[eips[0]["id"]])["id"]
    users = (gateway, nat, *(one["id"] for one in eips))
    path = f"/v1/external-networks/{used}"
    problem = refused(site.contents, lambda: api.admin.delete(path), Refusal(409, None, "", users))
    assert all(one["reason"] for one in problem["blockers"])
    held = (one["id"] for one in eips)
    refused(
        site.contents,
        lambda: api.admin.patch(path, json={"pools": ["198.18.7.99"]}),
        Refusal(409, "pools", "pools that hold the addresses of all EIPs", tuple(held)),
    )


def test_two_agents_that_claim_one_bridge_for_different_networks(api: Api) -> None:
    """The report counts, its claim does not: nobody is told another way than before."""
    made = {}
    for provider, third in (("one", 5), ("two", 6)):
        body = {"provider": provider, "cidr": f"198.18.{third}.0/24"}
        made[provider] = create(api.admin, "external-networks", **body)["id"]
    (first, agent), (second, rival) = api.host("claims-1"), api.host("claims-2")
    reached = {"ofport": 9, "bridge": "br-ours"}
    facts = {"providers": ("one",), "outside": ({"network_id": made["one"], **reached},)}
    agent.post(f"/v1/hosts/{first}/reports", json=report(1, (), **facts)).raise_for_status()
    path, own = f"/v1/hosts/{second}/reports", {"vtep": "192.0.2.2", "providers": ("two",)}
    rival.post(path, json=report(1, (), **own)).raise_for_status()

    def shown() -> list[Any]:
        paths = [*(f"external-networks/{id}" for id in made.values()), f"hosts/{first}"]
        return [api.admin.get(f"/v1/{path}").json() for path in paths]

    before, contents = shown(), Contents(api)
    rows = contents()
    assert before[0]["host_ids"] == [first]
    claims = ({"network_id": made["two"], **reached},)
    rival.post(path, json=report(2, (), **own, outside=claims)).raise_for_status()
    assert shown() == before
    now = contents()
    told = ("hosts", "liveness", "ledger", "changes")  # that, and when, the host has reported
    assert {name for name in rows if now[name] != rows[name]} <= set(told)
    assert all(second in row for row in set(now["hosts"]) - set(rows["hosts"]))
    objection = f"bridge br-ours leads to two here and to one on {first}: not believed"
    host = api.admin.get(f"/v1/hosts/{second}").json()
    assert (host["errors"], host["status"]["state"]) == ([objection], "degraded")
