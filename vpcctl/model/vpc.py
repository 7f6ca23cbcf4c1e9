"""A VPC: one tenant's isolated routing domain."""

from dataclasses import dataclass

from vpcctl.model.addresses import IPNetwork


@dataclass(frozen=True, slots=True)
class Vpc:
    """A routing domain. CIDRs never overlap within one VPC and may overlap between VPCs.

    Attributes:
        id: ``vpc-…``.
        tenant_id: the owner.
        key: number of this VPC in flows, 1 … 2**24-1, never used again while flows may exist.
        cidrs: IPv4 and IPv6 blocks, sorted.
    """

    id: str
    tenant_id: str
    key: int
    cidrs: tuple[IPNetwork, ...]
