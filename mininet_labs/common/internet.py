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


def create_eip(api: Api, tenant: str) -> None:
    """Give a tenant an EIP, named after it."""
    network = _only(api, "external-networks")["id"]
    api.post("/v1/eips", {"name": eip_of(tenant), "external_network_id": network})


def eip_of(tenant: str) -> str:
    """Return the name of a tenant's EIP."""
    return f"{tenant}-ip"


def lead_out(api: Api, port: str) -> str:
    """Lead a tenant's only VPC to the network, and give the port of this id the only EIP.

    Returns the EIP's address, once every host has it.
    """
    eip, vpc = _only(api, "eips"), _only(api, "vpcs")["id"]
    ends = {"vpc_id": vpc, "external_network_id": eip["external_network_id"]}
    gateway = api.post("/v1/internet-gateways", {"name": "out", **ends})["id"]
    api.post(f"/v1/route-tables/{_main(api)}/routes", {"destination": _ALL, "targets": [gateway]})
    api.put(f"/v1/eips/{eip['id']}/association?wait=realized", {"port_id": port})
    say(f"  {_ALL} leads out by an internet gateway; {eip['address']} is {port}'s")
    return eip["address"]


def _only(api: Api, kind: str) -> dict[str, Any]:
    return api.get(f"/v1/{kind}")["items"][0]


def _main(api: Api) -> str:
    """Return the id of the route table of a tenant's only VPC."""
    return next(table["id"] for table in api.get("/v1/route-tables")["items"] if table["main"])


def take_back(api: Api) -> None:
    """Take a tenant's EIP from its port, and the route away that leads out."""
    eip = _only(api, "eips")
    if eip["port_id"]:
        api.delete(f"/v1/eips/{eip['id']}/association")
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
