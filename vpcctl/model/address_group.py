"""An address group: a named set of blocks that rules can name as their remote side."""

from dataclasses import dataclass

from vpcctl.model.addresses import IPNetwork


@dataclass(frozen=True, slots=True)
class AddressGroup:
    """A set of blocks, of either family; a rule uses those of its own.

    Attributes:
        id: ``ag-…``.
        tenant_id: the owner; groups of all of the owner's VPCs may name it.
        key: its number, 1 … 2**31-1.
        cidrs: blocks, sorted, none twice.
    """

    id: str
    tenant_id: str
    key: int
    cidrs: tuple[IPNetwork, ...] = ()
