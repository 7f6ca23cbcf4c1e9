"""Blocks outside and inside that must not get into each other's way."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv6Network, ip_address, ip_network
from itertools import pairwise
from typing import Any, NamedTuple

from vpcctl.model.addresses import IPAddress, IPNetwork
from vpcctl.model.problems import Blocker, Conflict
from vpcctl.services import rules
from vpcctl.services.views import Actor
from vpcctl.store import external_networks
from vpcctl.store.external_networks import EXTERNAL_NETWORKS, Announcing
from vpcctl.store.tables import ExternalNetworkRow, VpcRow

GLOBAL_UNICAST = IPv6Network("2000::/3")
"""RFC 4291, section 2.5.4."""


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


def require_vpc_apart(connection: Any, actor: Actor, vpc: VpcRow, cidrs: Sequence[str]) -> None:
    """Demand that a VPC's new blocks are apart from the external networks that it leads to.

    Raises:
        Conflict: naming the blocks.
    """
    for row in external_networks.of_vpc(connection, vpc.id):
        require_apart(row, vpc.id, cidrs, "cidrs")
    new = [text for text in cidrs if text not in vpc.cidrs]
    for row in external_networks.of_vpc(connection, vpc.id, internet=True):
        require_sole(connection, actor, Claim(row, vpc.id, new, "cidrs"))


class Claim(NamedTuple):
    """What a VPC is to announce on an external network.

    Attributes:
        network: the external network.
        vpc_id: the VPC.
        cidrs: its blocks, of which the global ones of IPv6 count.
        field: of the request that asks for it.
    """

    network: ExternalNetworkRow
    vpc_id: str
    cidrs: Sequence[str]
    field: str


def require_sole(connection: Any, actor: Actor, claim: Claim) -> None:
    """Demand that no other VPC announces a VPC's global IPv6 addresses on an external network.

    They are not translated, so two VPCs that said that one is theirs would both be unreachable.

    Raises:
        Conflict: naming the other VPC to those who may see it.
    """
    blocks = _global_blocks(claim.cidrs)
    if claim.network.ipv6_cidr is None or not blocks:
        return
    for other in external_networks.announcing(connection, claim.network.id):
        if other.id == claim.vpc_id:
            continue
        for theirs in _global_blocks(other.cidrs):
            mine = next((one for one in blocks if rules.overlap(one, theirs)), None)
            if mine is not None:
                raise _announced(actor, claim, mine, other)


def _global_blocks(cidrs: Sequence[str]) -> list[IPNetwork]:
    found = (ip_network(text) for text in cidrs if ":" in text)
    return [block for block in found if rules.overlap(block, GLOBAL_UNICAST)]


def _announced(actor: Actor, claim: Claim, block: IPNetwork, other: Announcing) -> Conflict:
    scope = rules.tenant_scope(actor)
    known = scope is None or other.tenant_id == scope
    who = other.id if known else "another VPC"
    blockers = (Blocker("vpc", other.id, f"announces addresses of {block}"),) if known else ()
    return Conflict(
        f"Addresses of {block} are announced on {claim.network.id} by {who}.",
        field=claim.field,
        accepted="global IPv6 blocks that no other VPC with an internet gateway to it has",
        blockers=blockers,
    )


def require_none_twice(connection: Any, network_id: str) -> None:
    """Demand that VPCs with internet gateways to a network share no global IPv6 address.

    For a network that had no IPv6 until now.

    Raises:
        Conflict: naming two VPCs.
    """
    found: list[tuple[IPNetwork, str]] = []
    for vpc in external_networks.announcing(connection, network_id):
        found += [(block, vpc.id) for block in _global_blocks(vpc.cidrs)]
    found.sort(key=lambda one: (int(one[0].network_address), one[0].prefixlen))
    # Blocks either hold one another or share nothing: those that do meet in this order.
    for (block, vpc_id), (other, other_id) in pairwise(found):
        if rules.overlap(block, other):
            raise Conflict(
                f"{vpc_id} and {other_id} would both announce {other} on {network_id}.",
                field="ipv6_cidr",
                accepted="null, as long as VPCs that lead to it have the same global addresses",
                blockers=tuple(
                    Blocker("vpc", id, f"has addresses of {other}") for id in (vpc_id, other_id)
                ),
            )


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
