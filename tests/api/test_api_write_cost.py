"""What a write costs the database follows the write: the same with few ports and with many."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.api.support import Api, report, running_api
from tests.store.conftest import ADMIN, World
from tests.store.test_addresses import Meter, fill
from vpcctl.store.feed import Feed
from vpcctl.store.realisation import RealisationStore
from vpcctl.wire.report import Link

FEW, MANY, HOSTS = 30, 300, 4
_STEPS = 1_500
"""Steps of SQLite's machine that may be more with 270 ports more: an index has a level more."""

REPORTS = {"port plugged", "port unplugged"}
"""A report names every interface of its host."""

Call = Callable[[], httpx.Response]


class Cost(NamedTuple):
    """Of one write: statements, and steps of SQLite's machine."""

    statements: int
    steps: int


class Bed:
    """An API with a crowded subnet, and what each write cost it."""

    def __init__(self, api: Api, ports: int) -> None:
        self.tenant, self.admin, self._api = api.tenant("red"), api.admin, api
        self.costs: dict[str, Cost] = {}
        store, feed = RealisationStore(api.database), Feed(api.database)
        self._world = World(api.database, api.services, feed, store, None)  # type: ignore[arg-type]
        self._meter = Meter(self._world, "api-request")  # and not the upkeep beside it
        pools = {"gateway": "203.0.113.1", "pools": ["203.0.113.16/28"]}
        network = {"provider": "isp", "vlan": 7, "cidr": "203.0.113.0/24", **pools}
        self.ext = self.made(self.admin, "/v1/external-networks", network)
        self.vpc = self.make("/v1/vpcs", cidrs=["10.0.0.0/16", "10.1.0.0/16"])
        self.subnet = self.make("/v1/subnets", vpc_id=self.vpc, cidr="10.0.0.0/17")
        self.make("/v1/ports", subnet_id=self.subnet)
        fill(self._world, api.services.subnets.get(ADMIN, self.subnet), ports)
        self._place()

    def _place(self) -> None:
        page = self.admin.get("/v1/ports", params={"limit": 500}).raise_for_status().json()
        ids = [one["id"] for one in page["items"]]
        self.hosts = [self._api.host(f"h{number}") for number in range(HOSTS)]
        self.links: list[tuple[Link, ...]] = []
        self._reports = [0] * HOSTS
        for number, (host_id, _) in enumerate(self.hosts):
            self.admin.patch(f"/v1/hosts/{host_id}", json={"gateway": number < 2})
            mine = enumerate(ids[number::HOSTS])
            self.links.append(tuple(self.link(one, 10 + place) for place, one in mine))
            self.report(number, self.links[number]).raise_for_status()

    @staticmethod
    def link(port_id: str, ofport: int) -> Link:
        return Link(
            port_id=port_id,
            interface=f"tap{ofport}",
            interface_uuid=f"u{ofport}",
            ofport=ofport,
        )

    def report(self, number: int, links: tuple[Link, ...]) -> httpx.Response:
        host_id, agent = self.hosts[number]
        self._reports[number] += 1
        said = report(self._reports[number], links, vtep=f"192.0.2.{number + 1}")
        return agent.post(f"/v1/hosts/{host_id}/reports", json=said)

    def made(self, client: httpx.Client, path: str, values: dict[str, Any]) -> str:
        return str(client.post(path, json=values).raise_for_status().json()["id"])

    def make(self, path: str, **values: Any) -> str:
        return self.made(self.tenant, path, values)

    def find(self, path: str, **having: Any) -> str:
        items = self.tenant.get(path, params={"limit": 200}).raise_for_status().json()["items"]
        return next(one["id"] for one in items if having.items() <= one.items())

    def __call__(self, name: str, call: Call) -> str:
        """Do a write; return the id of what it is about."""
        self._meter.take()
        answer = call()
        self.costs[name] = Cost(*self._meter.take())
        assert answer.is_success, answer.text
        found = answer.json() if answer.content else {}
        return str(found.get("id") or (found.get("items") or [{}])[0].get("id"))


def _inside(bed: Bed, turn: int) -> None:
    t, put = bed.tenant, bed.tenant.patch
    vpc, subnet = f"/v1/vpcs/{bed.vpc}", f"/v1/subnets/{bed.subnet}"
    more = [] if turn else ["10.2.0.0/16"]
    other = bed("vpc +", lambda: t.post("/v1/vpcs", json={"cidrs": ["10.9.0.0/16"]}))
    bed("vpc cidrs", lambda: put(vpc, json={"cidrs": ["10.0.0.0/16", "10.1.0.0/16", *more]}))
    bed("vpc name", lambda: put(vpc, json={"name": f"n{turn}"}))
    bed("vpc dns", lambda: put(vpc, json={"dns_domain": f"n{turn}.internal"}))
    body = {"vpc_id": bed.vpc, "cidr": "10.0.200.0/24"}
    spare = bed("subnet +", lambda: t.post("/v1/subnets", json=body))
    bed("subnet name", lambda: put(subnet, json={"name": f"x{turn}"}))
    record = {"vpc_id": bed.vpc, "name": f"a{turn}", "type": "A", "values": ["192.0.2.4"]}
    made = bed("rec +", lambda: t.post("/v1/dns-records", json=record))
    bed("rec -", lambda: t.delete(f"/v1/dns-records/{made}"))
    options = bed("dopt +", lambda: t.post("/v1/dhcp-options", json={"domain_name": "a.example"}))
    bed("vpc options", lambda: put(vpc, json={"dhcp_options_id": options}))
    said = {"domain_name": f"n{turn}.example"}
    bed("dopt changed", lambda: put(f"/v1/dhcp-options/{options}", json=said))
    bed("vpc no options", lambda: put(vpc, json={"dhcp_options_id": None}))
    bed("dopt -", lambda: t.delete(f"/v1/dhcp-options/{options}"))
    bed("subnet -", lambda: t.delete(f"/v1/subnets/{spare}"))
    bed("vpc -", lambda: t.delete(f"/v1/vpcs/{other}"))


def _port(bed: Bed, turn: int) -> None:
    t = bed.tenant
    port = bed("port +", lambda: t.post("/v1/ports", json={"subnet_id": bed.subnet}))
    links = (*bed.links[3], bed.link(port, 5000 + turn))
    bed("port plugged", lambda: bed.report(3, links))
    pairs = [{"cidr": "10.0.127.1/32"}]
    changes: dict[str, Any] = {"name": "z", "allowed_address_pairs": pairs}
    changes |= {"limits": {"egress_kbps": 1000}, "admin_up": False}
    for field, value in changes.items():
        bed(f"port {field}", lambda: t.patch(f"/v1/ports/{port}", json={field: value}))  # noqa: B023
    default = bed.find("/v1/security-groups", name="default", vpc_id=bed.vpc)
    group = {"vpc_id": bed.vpc, "name": f"g{turn}"}
    group_id = bed("sg +", lambda: t.post("/v1/security-groups", json=group))
    both = {"security_groups": [group_id, default]}
    bed("port joins", lambda: t.patch(f"/v1/ports/{port}", json=both))
    rule = {"direction": "ingress", "protocol": "tcp", "ports": "443"}
    path = f"/v1/security-groups/{default}/rules"
    remote = {"remote": {"cidr": "192.0.2.9/32"}}
    made = bed("sg rule +", lambda: t.post(path, json={**rule, **remote}))
    bed("sg rule -", lambda: t.delete(f"{path}/{made}"))
    bed("port leaves", lambda: t.patch(f"/v1/ports/{port}", json={"security_groups": [default]}))
    bed("sg -", lambda: t.delete(f"/v1/security-groups/{group_id}"))
    bed("port unplugged", lambda: bed.report(3, bed.links[3]))
    bed("port -", lambda: t.delete(f"/v1/ports/{port}"))


def _between(bed: Bed, turn: int) -> None:
    t, subnet = bed.tenant, f"/v1/subnets/{bed.subnet}"
    line = {"number": 100, "direction": "ingress", "action": "allow", "cidr": "0.0.0.0/0"}
    body = {"vpc_id": bed.vpc, "entries": [line]}
    acl = bed("nacl +", lambda: t.post("/v1/network-acls", json=body))
    bed("subnet nacl", lambda: t.patch(subnet, json={"network_acl_id": acl}))
    more = {**line, "number": 50}
    bed("nacl entry", lambda: t.post(f"/v1/network-acls/{acl}/entries", json=more))
    bed("subnet no nacl", lambda: t.patch(subnet, json={"network_acl_id": None}))
    bed("nacl -", lambda: t.delete(f"/v1/network-acls/{acl}"))
    table = bed("rtb +", lambda: t.post("/v1/route-tables", json={"vpc_id": bed.vpc}))
    bed("subnet rtb", lambda: t.patch(subnet, json={"route_table_id": table}))
    routes, to = f"/v1/route-tables/{table}/routes", {"destination": "198.18.0.0/15"}
    target = bed.find("/v1/ports", subnet_id=bed.subnet)
    bed("rtb route +", lambda: t.post(routes, json={**to, "targets": [target]}))
    bed("rtb route -", lambda: t.delete(routes, params=to))
    bed("subnet no rtb", lambda: t.patch(subnet, json={"route_table_id": None}))
    bed("rtb -", lambda: t.delete(f"/v1/route-tables/{table}"))


def _outside(bed: Bed, turn: int) -> None:
    t, where = bed.tenant, {"vpc_id": bed.vpc, "external_network_id": bed.ext}
    igw = bed("igw +", lambda: t.post("/v1/internet-gateways", json=where))
    main = bed.find("/v1/route-tables", vpc_id=bed.vpc, main=True)
    routes, to = f"/v1/route-tables/{main}/routes", {"destination": "0.0.0.0/0"}
    bed("rtb default +", lambda: t.post(routes, json={**to, "targets": [igw]}))
    eip = bed("eip +", lambda: t.post("/v1/eips", json={"external_network_id": bed.ext}))
    port = bed.find("/v1/ports", subnet_id=bed.subnet)
    association = f"/v1/eips/{eip}/association"
    bed("eip associated", lambda: t.put(association, json={"port_id": port}))
    bed("eip disassociated", lambda: t.delete(association))
    gateway = {**where, "eip_ids": [eip]}
    nat = bed("nat +", lambda: t.post("/v1/nat-gateways", json=gateway))
    forward = {"protocol": "tcp", "ports": "443", "address": "10.0.0.5", "target_port": 8443}
    bed("nat forward", lambda: t.post(f"/v1/nat-gateways/{nat}/forwards", json=forward))
    bed("nat -", lambda: t.delete(f"/v1/nat-gateways/{nat}"))
    bed("eip -", lambda: t.delete(f"/v1/eips/{eip}"))
    bed("rtb default -", lambda: t.delete(routes, params=to))
    bed("igw -", lambda: t.delete(f"/v1/internet-gateways/{igw}"))


def _hosts(bed: Bed, turn: int) -> None:
    a, host_id = bed.admin, bed.hosts[3][0]
    made = bed("host +", lambda: a.post("/v1/hosts", json={"name": f"new{turn}"}))
    for field, value in (("gateway", True), ("drained", not turn), ("name", f"h9{turn}")):
        values = {field: value}
        bed(f"host {field}", lambda: a.patch(f"/v1/hosts/{host_id}", json=values))  # noqa: B023
    zone = {"availability_zone": f"z{turn}"}
    bed("host zone", lambda: a.patch(f"/v1/hosts/{host_id}", json=zone))
    bed("host -", lambda: a.delete(f"/v1/hosts/{made}"))


def _costs(directory: Path, ports: int) -> dict[str, Cost]:
    directory.mkdir()
    with running_api(directory) as api:
        bed = Bed(api, ports)
        for turn in (0, 1):  # only the second counts: statements are compiled by then
            for part in (_inside, _port, _between, _outside, _hosts):
                part(bed, turn)
        return bed.costs


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Cost], ...]:
    directory = tmp_path_factory.mktemp("cost")
    return _costs(directory / "few", FEW), _costs(directory / "many", MANY)


def test_a_write_costs_the_database_the_same_in_a_large_network(
    costs: tuple[dict[str, Cost], ...],
) -> None:
    few, many = costs
    more = {
        name: (few[name], many[name])
        for name in many.keys() - REPORTS
        if many[name].statements > few[name].statements + 2
        or many[name].steps > few[name].steps + _STEPS
    }
    assert more == {}
