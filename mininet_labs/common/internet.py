"""Ways out to the provider's network and back in, as tenants make them; and who answers there."""

from typing import Any

from mininet_labs.common.outside import BLOCK, POOL, ROUTER, Visitor
from mininet_labs.common.report import Checks, say
from mininet_labs.common.rest import Api
from mininet_labs.common.runs import PROVIDER
from mininet_labs.common.site import PATIENCE_S, Site

NETWORK = "internet"
_ALL = "0.0.0.0/0"
PORT = 7770
"""Where everybody who is called answers."""


def create(site: Site) -> None:
    """Let tenants use the provider's network."""
    block = {"cidr": BLOCK, "gateway": ROUTER, "pools": [POOL]}
    site.admin.post("/v1/external-networks", {"name": NETWORK, "provider": PROVIDER, **block})
    say(f"lab: external network {NETWORK}: {BLOCK}, EIPs from {POOL}")


def create_eip(api: Api, owner: str) -> dict[str, Any]:
    """Give a tenant an EIP, named after it or after one of its workloads; return it."""
    network = _only(api, "external-networks")["id"]
    return api.post("/v1/eips", {"name": eip_of(owner), "external_network_id": network})


def eip_of(owner: str) -> str:
    """Return the name of the EIP of a tenant or workload."""
    return f"{owner}-ip"


def lead_out(api: Api, port: str) -> str:
    """Lead a tenant's only VPC to the network, and give the port of this id the only EIP.

    Returns the EIP's address, once every host has it.
    """
    open_way(api)
    eip = _only(api, "eips")
    give(api, eip, port)
    say(f"  {_ALL} leads out by an internet gateway; {eip['address']} is {port}'s")
    return eip["address"]


def open_way(api: Api) -> None:
    """Lead a tenant's only VPC to the network by an internet gateway."""
    ends = {"vpc_id": _only(api, "vpcs"), "external_network_id": _only(api, "external-networks")}
    gateway = api.post("/v1/internet-gateways", {key: end["id"] for key, end in ends.items()})
    route = {"destination": _ALL, "targets": [gateway["id"]]}
    api.post(f"/v1/route-tables/{_main(api)}/routes", route)


def give(api: Api, eip: dict[str, Any], port: str) -> None:
    """Let an EIP stand for the port of this id; return when every host knows it."""
    api.put(f"/v1/eips/{eip['id']}/association?wait=realized", {"port_id": port})


def _only(api: Api, kind: str) -> dict[str, Any]:
    return api.get(f"/v1/{kind}")["items"][0]


def _main(api: Api) -> str:
    """Return the id of the route table of a tenant's only VPC."""
    return next(table["id"] for table in api.get("/v1/route-tables")["items"] if table["main"])


def take_back(api: Api) -> None:
    """Take a tenant's EIPs from its ports, and the route away that leads out."""
    for eip in api.get("/v1/eips")["items"]:
        if eip["port_id"]:
            api.delete(f"/v1/eips/{eip['id']}/association")
    close_way(api)


def close_way(api: Api) -> None:
    """Take the route away that leads out."""
    api.delete(f"/v1/route-tables/{_main(api)}/routes?destination={_ALL}")


def expect_answer(outside: Visitor, address: str, name: str, checks: Checks) -> None:
    """Let somebody outside call *address*, where *name* is to answer."""
    who, _ = outside.call(address, PORT, PATIENCE_S)
    say(f"  outside calls {address}: {who} answers")
    checks.expect(who == name, f"{name} answers at {address}")


def expect_seen(
    name: str, who: str | None, seen_as: str | None, address: str, checks: Checks
) -> None:
    """Judge what *name* heard when it called outside: who answered, and as whom it was seen."""
    say(f"  {name} calls {ROUTER}: {who} answers, and sees {seen_as}")
    checks.expect((who, seen_as) == ("outside", address), f"{name} is seen as {address}")
