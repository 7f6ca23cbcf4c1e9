"""Numbers for flows (of VPCs, subnets, ports, hosts, groups, EIPs …): freed ones go out last.

A counter that never goes back hands them out; as long as it is within the number space the number
has never been used. Beyond, it goes round: the next number that nobody has.
"""

from typing import Any

from sqlalchemy import Connection, Subquery, select, union_all
from sqlalchemy.orm import InstrumentedAttribute

from vpcctl.model.problems import Exhausted
from vpcctl.store.tables import (
    AddressGroupRow,
    EipRow,
    ExternalNetworkRow,
    GroupRuleRow,
    HostRow,
    InternetGatewayRow,
    NatGatewayRow,
    NetworkAclRow,
    PortRow,
    RouteTableRow,
    SecurityGroupRow,
    SubnetRow,
    VpcRow,
)
from vpcctl.store.units import Counter, Unit

Columns = tuple[InstrumentedAttribute[int] | InstrumentedAttribute[int | None], ...]

SPACES: dict[Counter, tuple[Columns, int]] = {
    "vpc_key": ((VpcRow.key,), 2**24 - 1),
    "vni": ((SubnetRow.vni, InternetGatewayRow.vni, NatGatewayRow.vni), 2**24 - 2),
    "port_key": ((PortRow.key,), 2**32 - 1),
    "host_key": ((HostRow.key,), 2**16 - 1),
    "acl_key": (
        (SecurityGroupRow.key, GroupRuleRow.key, AddressGroupRow.key, NetworkAclRow.key),
        2**31 - 1,  # conjunctions' ids have one bit more, for the kind of group
    ),
    "ext_key": ((ExternalNetworkRow.key,), 2**16 - 1),
    "eip_key": ((EipRow.key,), 2**32 - 1),
    "nat_key": ((NatGatewayRow.key,), 2**15 - 1),
    "rtb_key": ((RouteTableRow.key,), 2**32 - 1),
    "limit_number": ((PortRow.limit_number, EipRow.limit_number), 2**15 - 1),
}
"""Where the numbers of a space are in use, and the largest one. The last VNI is that of the
tunnels in which hosts watch each other."""


def fit(unit: Unit, counter: Counter) -> int:
    """Return the one number that the unit takes from the space of *counter*.

    Raises:
        Exhausted: every number of the space is in use.
    """
    (number,) = fit_all(unit, counter)
    return number


def fit_all(unit: Unit, counter: Counter) -> list[int]:
    """Return the numbers that the unit takes from the space of *counter*.

    Raises:
        Exhausted: fewer are left.
    """
    columns, largest = SPACES[counter]
    last, asked = unit.counts[counter], unit.needs[counter]
    if last <= largest:
        return list(range(last - asked + 1, last + 1))
    start = (last - asked) % largest + 1
    found: list[int] = []
    for low, high in ((start, largest), (1, start - 1)):
        while len(found) < asked and low <= high:
            free = _free_from(unit.connection, columns, low, high)
            if free is None:
                break
            found.append(free)
            low = free + 1
    if len(found) < asked:
        raise Exhausted(f"All {largest} numbers of this kind are in use.")
    return found


def _free_from(connection: Connection, columns: Columns, start: int, largest: int) -> int | None:
    """Return the lowest number in *start* … *largest* that no row has."""
    used, follower = _used(columns), _used(columns)
    if connection.execute(select(used.c.n).where(used.c.n == start)).first() is None:
        return start
    number: Any = used.c.n
    gap = (
        select(number + 1)
        .where(number >= start, number < largest)
        .where(~select(follower.c.n).where(follower.c.n == number + 1).exists())
        .order_by(number)
        .limit(1)
    )
    return connection.execute(gap).scalar_one_or_none()


def _used(columns: Columns) -> Subquery:
    return union_all(*(select(column.label("n")) for column in columns)).subquery()
