"""Which hosts answer for EIPs, and which ones may still do so after an EIP was taken from them.

A host that the controller cannot reach goes on as it was told last. So who answered for an address
is remembered until that host has confirmed that it does no more, and until then the address is
handed out to nobody.
"""

from collections.abc import Iterable, Sequence

from vpcctl.store import gateways, locations
from vpcctl.store.eips import EIPS
from vpcctl.store.pools import Freed
from vpcctl.store.realisation import HostState, of_hosts, processed, reached
from vpcctl.store.tables import EipRow
from vpcctl.store.units import Unit


def answering(unit: Unit, row: EipRow) -> list[str]:
    """Return the hosts that may answer for an EIP: its port's, and the gateway's, sorted."""
    connection = unit.connection
    if row.nat_gateway_id is not None:
        return sorted(gateways.HOST_IDS.one(connection, row.nat_gateway_id))
    if row.port_id is None or row.vpc_id is None:
        return []
    place = locations.locations_of(connection, [row.port_id]).get(row.port_id)
    here = {place.host_id} if place is not None else set()
    internet = gateways.internet_between(connection, row.vpc_id, row.external_network_id)
    if internet is not None:
        here.update(gateways.HOST_IDS.one(connection, internet.id))
    return sorted(here)


def left(unit: Unit, row: EipRow, host_ids: Iterable[str]) -> dict[str, object]:
    """Return the columns that remember these hosts, beside those that are remembered already."""
    still = waiting(unit, row.left_hosts, row.left_revision)
    return {"left_hosts": sorted({*still, *host_ids}), "left_revision": unit.revision}


def note_left(unit: Unit, rows: Sequence[EipRow], host_ids: Iterable[str]) -> None:
    """Remember that these hosts answered for EIPs, and are to do so no more."""
    gone = set(host_ids)
    for row in rows if gone else ():
        EIPS.update(unit.connection, row.id, left(unit, row, gone))


def waiting(unit: Unit, host_ids: Sequence[str], revision: int) -> list[str]:
    """Return those of the hosts that may not know of *revision* yet; deleted ones are forgotten."""
    if not host_ids:
        return []
    done = processed(unit.connection)
    found = of_hosts(unit.connection, host_ids)
    return [id for id in sorted(found) if reached(found[id], done) < revision]


def still_answering(unit: Unit, given_back: Sequence[Freed]) -> dict[str, tuple[Freed, HostState]]:
    """Return the hosts that may answer for addresses given back, as :func:`waiting` does for one.

    With each the first such address, and the host's state.
    """
    done = processed(unit.connection)
    known = of_hosts(unit.connection, sorted({id for one in given_back for id in one.hosts}))
    found: dict[str, tuple[Freed, HostState]] = {}
    for one in given_back:
        for id in one.hosts:
            if id in known and reached(known[id], done) < one.revision:
                found.setdefault(id, (one, known[id].state))
    return found
