"""What routes lead to, and whether that is on hosts that are dead: who is told when it changes."""

from collections.abc import Collection, Iterable, Sequence

from vpcctl.services.gateway_candidates import lost_hosts
from vpcctl.store import hosts
from vpcctl.store.gateway_hosts import HostFact
from vpcctl.store.route_tables import leading_to, through_hosts
from vpcctl.store.units import Unit


def note_lost(unit: Unit, known: Sequence[HostFact]) -> None:
    """Remember which hosts are lost to those that watch them; tell routes of what is otherwise.

    Args:
        unit: the transaction.
        known: what is known of every host now, but for that.
    """
    lost = lost_hosts(known)
    news = [fact for fact in known if fact.lost != (fact.id in lost)]
    hosts.set_lost(unit.connection, (one.id for one in news if not one.lost), lost=True)
    hosts.set_lost(unit.connection, (one.id for one in news if one.lost), lost=False)
    retarget(unit, {one.id for one in news if one.announced != hosts.DEAD})


def retarget(unit: Unit, host_ids: Collection[str]) -> None:
    """Take what is on hosts that are dead now out of routes, or that of others in again."""
    _tell(unit, through_hosts(unit.connection, sorted(host_ids)))


def moved(unit: Unit, target_ids: Collection[str], host_ids: Collection[str]) -> None:
    """Tell routes of targets that came to dead hosts, or are not on them any more.

    Without that nobody would tell them when such a host lives again.

    Args:
        unit: the transaction.
        target_ids: ports, or a NAT gateway.
        host_ids: where they were or are now.
    """
    if hosts.dead_among(unit.connection, host_ids):
        _tell(unit, leading_to(unit.connection, target_ids))


def _tell(unit: Unit, tables: Iterable[tuple[str, str]]) -> None:
    for table_id, tenant_id in tables:
        unit.tell("rtb", table_id, tenant_id, "changed", "other targets are dead now")
