"""Addresses of a subnet: which are free, in O(log n) an allocation, whatever the block's size.

What was never used is kept as ranges of offsets from the block's base (one range at first, split
by chosen addresses); what was given back is kept in the order of giving back and goes out when the
ranges are used up. Who has an address is the table ``addresses``; its primary key is what makes
two owners impossible.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from vpcctl.model.addresses import IPAddress, IPNetwork
from vpcctl.store.tables import AddressRow, FreedAddressRow, FreeRangeRow

LARGEST_OFFSET = 2**62
"""IPv6 offsets beyond this can be chosen but are never handed out."""

_SUBNET, _FAMILY = bindparam("subnet_id_"), bindparam("family_")
_RANGE = (FreeRangeRow.subnet_id == _SUBNET, FreeRangeRow.family == _FAMILY)
_FREED = (FreedAddressRow.subnet_id == _SUBNET, FreedAddressRow.family == _FAMILY)

_lowest = (
    select(FreeRangeRow.last).where(*_RANGE).order_by(FreeRangeRow.last).limit(1).scalar_subquery()
)
_TAKE_NEXT = (
    update(FreeRangeRow)
    .where(*_RANGE, FreeRangeRow.last == _lowest)
    .values(first=FreeRangeRow.first + 1)
    .returning(FreeRangeRow.first, FreeRangeRow.last)
)
_oldest = (
    select(FreedAddressRow.position)
    .where(*_FREED)
    .order_by(FreedAddressRow.revision, FreedAddressRow.position)
    .limit(1)
    .scalar_subquery()
)
_TAKE_FREED = (
    delete(FreedAddressRow)
    .where(*_FREED, FreedAddressRow.position == _oldest)
    .returning(FreedAddressRow.position)
)
_DROP_RANGE = delete(FreeRangeRow).where(*_RANGE, FreeRangeRow.last == bindparam("last_"))
_HOLDING = (
    select(FreeRangeRow.first, FreeRangeRow.last)
    .where(*_RANGE, FreeRangeRow.last >= bindparam("offset_"))
    .order_by(FreeRangeRow.last)
    .limit(1)
)
_RAISE_FIRST = (
    update(FreeRangeRow)
    .where(*_RANGE, FreeRangeRow.last == bindparam("last_"))
    .values(first=bindparam("first_"))
)
_DROP_FREED = delete(FreedAddressRow).where(
    *_FREED, FreedAddressRow.position == bindparam("offset_")
)
_ADD_RANGE = insert(FreeRangeRow)
_ADD_FREED = insert(FreedAddressRow)
_OWNER = select(AddressRow.port_id).where(
    AddressRow.subnet_id == _SUBNET, AddressRow.address == bindparam("address_")
)


@dataclass(frozen=True, slots=True)
class Block:
    """One address block of a subnet."""

    subnet_id: str
    network: IPNetwork

    @property
    def keys(self) -> dict[str, str | int]:
        """Bound values that pick this block's rows."""
        return {"subnet_id_": self.subnet_id, "family_": self.network.version}

    def offset(self, address: IPAddress) -> int:
        """Return the offset of *address* from the block's base."""
        return int(address) - int(self.network.network_address)

    def address(self, offset: int) -> IPAddress:
        """Return the address at *offset*."""
        return self.network[offset]


def reserved(network: IPNetwork, gateway: IPAddress) -> frozenset[IPAddress]:
    """Return what ports never get: base, gateway and (IPv4) broadcast.

    The base of an IPv6 block is the subnet-router anycast address (RFC 4291, 2.6.1).
    """
    edges = {network.network_address, gateway}
    if network.version == 4:
        edges.add(network.broadcast_address)
    return frozenset(edges)


def open_block(connection: Connection, block: Block, gateway: IPAddress) -> None:
    """Make all of the block's addresses free but for the reserved ones."""
    size = block.network.num_addresses
    last = min(size - (2 if block.network.version == 4 else 1), LARGEST_OFFSET)
    _add_ranges(connection, block, [(1, last)])
    take_chosen(connection, block, gateway)


def close_block(connection: Connection, block: Block) -> None:
    """Forget what is free in a block that is going away."""
    connection.execute(delete(FreeRangeRow).where(*_RANGE), block.keys)
    connection.execute(delete(FreedAddressRow).where(*_FREED), block.keys)


def take_next(connection: Connection, block: Block) -> IPAddress | None:
    """Take a free address: never-used ones first, then the one freed longest ago."""
    row = connection.execute(_TAKE_NEXT, block.keys).one_or_none()
    if row is None:
        freed = connection.execute(_TAKE_FREED, block.keys).scalar_one_or_none()
        return None if freed is None else block.address(freed)
    first, last = row
    if first > last:
        connection.execute(_DROP_RANGE, {**block.keys, "last_": last})
    return block.address(first - 1)


def take_chosen(connection: Connection, block: Block, address: IPAddress) -> None:
    """Take *address* out of what is free; who owns it is the caller's to check."""
    offset = block.offset(address)
    if offset > LARGEST_OFFSET:
        return
    keys = {**block.keys, "offset_": offset}
    row = connection.execute(_HOLDING, keys).one_or_none()
    if row is None or row.first > offset:
        connection.execute(_DROP_FREED, keys)
        return
    first, last = row
    if offset == last:
        connection.execute(_DROP_RANGE, {**block.keys, "last_": last})
    else:
        connection.execute(_RAISE_FIRST, {**block.keys, "last_": last, "first_": offset + 1})
    if first < offset:
        _add_ranges(connection, block, [(first, offset - 1)])


def give_back(
    connection: Connection, block: Block, addresses: Sequence[IPAddress], revision: int
) -> None:
    """Make *addresses* free again, to be handed out after everything that is free now."""
    rows = [
        {
            "subnet_id": block.subnet_id,
            "family": block.network.version,
            "position": offset,
            "revision": revision,
        }
        for offset in map(block.offset, addresses)
        if offset <= LARGEST_OFFSET
    ]
    if rows:
        connection.execute(_ADD_FREED, rows)


def owner(connection: Connection, block: Block, address: IPAddress) -> str | None:
    """Return the id of the port that has *address*, or None."""
    keys = {"subnet_id_": block.subnet_id, "address_": str(address)}
    return connection.execute(_OWNER, keys).scalar_one_or_none()


def _add_ranges(connection: Connection, block: Block, ranges: list[tuple[int, int]]) -> None:
    rows = [
        {
            "subnet_id": block.subnet_id,
            "family": block.network.version,
            "first": first,
            "last": last,
        }
        for first, last in ranges
    ]
    connection.execute(_ADD_RANGE, rows)
