"""Blocks outside and inside that must not get into each other's way."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from vpcctl.model.addresses import IPAddress, IPNetwork
from vpcctl.model.problems import Blocker, Conflict
from vpcctl.services import rules
from vpcctl.store import external_networks
from vpcctl.store.external_networks import EXTERNAL_NETWORKS
from vpcctl.store.tables import ExternalNetworkRow


def blocks_of(row: ExternalNetworkRow) -> list[IPNetwork]:
    """Return the blocks of an external network."""
    return [ip_network(text) for text in (row.cidr, row.ipv6_cidr) if text]


def require_alone(connection: Any, id: str, blocks: Mapping[str, IPNetwork | None]) -> None:
    """Demand that no other external network has addresses of these blocks.

    Args:
        connection: of the transaction.
        id: of the network that is to have the blocks.
        blocks: by the field that names them; None: there is none.

    Raises:
        Conflict: naming the other network.
    """
    for row in EXTERNAL_NETWORKS.all(connection):
        for field, block in blocks.items():
            if row.id == id or block is None:
                continue
            for other in blocks_of(row):
                if rules.overlap(block, other):
                    raise Conflict(
                        f"{block} overlaps {other} of {row.id}.",
                        field=field,
                        accepted="a block that overlaps no other external network's",
                        blockers=(Blocker("ext", row.id, f"has the block {other}"),),
                    )


def require_apart(row: ExternalNetworkRow, vpc_id: str, cidrs: Sequence[str], field: str) -> None:
    """Demand that what is outside is not inside a VPC, too.

    An IPv6 block of a VPC may lie in that of the external network, which is how its addresses are
    reached from there; only the router's own address may not.

    Raises:
        Conflict: naming the blocks.
    """
    for text in cidrs:
        block = ip_network(text)
        clash = _clash(row, block)
        if clash is not None:
            raise Conflict(
                f"{block} of {vpc_id} overlaps {clash} of {row.id}.",
                field=field,
                accepted="a VPC and an external network that share no address",
                blockers=(Blocker("ext", row.id, f"has {clash}"), Blocker("vpc", vpc_id, text)),
            )


def _clash(row: ExternalNetworkRow, block: IPNetwork) -> IPNetwork | IPAddress | None:
    if row.cidr and rules.overlap(block, ip_network(row.cidr)):
        return ip_network(row.cidr)
    gateway = ip_address(row.ipv6_gateway) if row.ipv6_gateway else None
    if gateway is not None and gateway.version == block.version and gateway in block:
        return gateway
    return None


def require_vpc_apart(connection: Any, vpc_id: str, cidrs: Sequence[str]) -> None:
    """Demand that a VPC's new blocks are apart from the external networks that it leads to.

    Raises:
        Conflict: naming the blocks.
    """
    for row in external_networks.of_vpc(connection, vpc_id):
        require_apart(row, vpc_id, cidrs, "cidrs")


def require_clear_of_vpcs(connection: Any, network_id: str, gateway: IPAddress | None) -> None:
    """Demand that an external network's new IPv6 router is in no VPC that leads there.

    Raises:
        Conflict: naming the VPC.
    """
    if gateway is None:
        return
    for vpc_id, cidrs in external_networks.vpcs_of(connection, network_id):
        if any(gateway in block for block in map(ip_network, cidrs)):
            raise Conflict(
                f"{gateway} is an address of {vpc_id}, which leads to this network.",
                field="ipv6_gateway",
                accepted="an address in no VPC with a gateway to this network",
                blockers=(Blocker("vpc", vpc_id, f"has a block with {gateway}"),),
            )
