"""Ways out to the provider's network and back in, as tenants make them; and who answers there."""

from typing import Any

from mininet_labs.common.outside import BLOCK, BLOCK6, POOL, ROUTER, ROUTER6, Visitor
from mininet_labs.common.report import Checks, say
from mininet_labs.common.rest import Api
from mininet_labs.common.runs import PROVIDER
from mininet_labs.common.site import PATIENCE_S, Site

NETWORK = "internet"
_ALL, _ALL6 = "0.0.0.0/0", "::/0"
PORT = 7770
"""Where everybody who is called answers."""


def create(site: Site) -> None:
    """Let tenants use the provider's network."""
    block = {"cidr": BLOCK, "gateway": ROUTER, "pools": [POOL]}
    block6 = {"ipv6_cidr": BLOCK6, "ipv6_gateway": ROUTER6}
    about = {"name": NETWORK, "provider": PROVIDER, **block, **block6}
    site.admin.post("/v1/external-networks", about)
    say(f"lab: external network {NETWORK}: {BLOCK} and {BLOCK6}, EIPs from {POOL}")


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
    api.post("/v1/internet-gateways", {key: end["id"] for key, end in ends.items()})
    _lead(api, _main(api), _ALL, "internet-gateways")


def open_way6(api: Api) -> None:
    """Lead IPv6 out by the internet gateway that a tenant has; return when every host knows it."""
    _lead(api, _main(api), _ALL6, "internet-gateways")


def create_nat(api: Api, name: str) -> dict[str, Any]:
    """Create a NAT gateway in a tenant's only VPC, with an EIP of its own."""
    ends = {"vpc_id": _only(api, "vpcs"), "external_network_id": _only(api, "external-networks")}
    body = {"name": name, "eip_ids": [create_eip(api, name)["id"]]}
    return api.post("/v1/nat-gateways", body | {key: end["id"] for key, end in ends.items()})


def lead_in(api: Api, port: int, target: str) -> str:
    """Forward a port of the only NAT gateway, of TCP and UDP, to where *target* answers.

    Returns the address that the port is of, once every host knows it.
    """
    nat = _only(api, "nat-gateways")["id"]
    made: dict[str, Any] = {}
    for protocol in ("tcp", "udp"):
        body = {"protocol": protocol, "ports": str(port), "address": target, "target_port": PORT}
        made = api.post(f"/v1/nat-gateways/{nat}/forwards?wait=realized", body)
    return made["eip_address"]


def lead_by_nat(api: Api, subnet: str) -> None:
    """Lead a subnet of a tenant's only VPC out by the only NAT gateway."""
    table = {"vpc_id": _only(api, "vpcs")["id"], "name": f"{subnet}-out"}
    made = api.post("/v1/route-tables", table)["id"]
    _lead(api, made, _ALL, "nat-gateways")
    subnets = {one["name"]: one["id"] for one in api.get("/v1/subnets")["items"]}
    api.patch(f"/v1/subnets/{subnets[subnet]}?wait=realized", {"route_table_id": made})


def _lead(api: Api, table: str, destination: str, kind: str) -> None:
    route = {"destination": destination, "targets": [_only(api, kind)["id"]]}
    api.post(f"/v1/route-tables/{table}/routes?wait=realized", route)


def give(api: Api, eip: dict[str, Any], port: str) -> None:
    """Let an EIP stand for the port of this id; return when every host knows it."""
    api.put(f"/v1/eips/{eip['id']}/association?wait=realized", {"port_id": port})


def _only(api: Api, kind: str) -> dict[str, Any]:
    return api.get(f"/v1/{kind}")["items"][0]


def _main(api: Api) -> str:
    """Return the id of the route table of a tenant's only VPC."""
    return next(table["id"] for table in api.get("/v1/route-tables")["items"] if table["main"])


def take_back(api: Api) -> None:
    """Take a tenant's EIPs from its ports, and the routes away that lead out."""
    for eip in api.get("/v1/eips")["items"]:
        if eip["port_id"]:
            api.delete(f"/v1/eips/{eip['id']}/association")
    for table in api.get("/v1/route-tables")["items"]:
        api.patch(f"/v1/route-tables/{table['id']}", {"routes": []})


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
