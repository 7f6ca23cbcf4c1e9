"""VPCs' private zones and ports' metadata, as the hosts of their guests fetch them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vpcctl.model.ids import is_id
from vpcctl.model.problems import NotFound
from vpcctl.services import dns_values, rules
from vpcctl.services.context import Context
from vpcctl.services.guests import host_name
from vpcctl.services.hosts import require_host
from vpcctl.services.port_metadata import shown
from vpcctl.services.views import Actor
from vpcctl.store import dns_records, port_metadata, zones
from vpcctl.store.tables import VpcRow
from vpcctl.store.units import Unit, present_revision
from vpcctl.store.vpcs import VPCS
from vpcctl.wire.zones import PortMetadata, ZoneDocument, ZoneRecord, sealed

TOPIC = "zones"
_MOST_CHANGES = 1_000
"""More are told as a whole zone, which is about as long."""

_Ports = dict[str, tuple[str, tuple[str, ...]] | None]


class ZoneService:
    """What agents ask about names and metadata."""

    def __init__(self, context: Context) -> None:
        self._units = context.units

    def revisions(self, actor: Actor, after: int) -> dict[str, int]:
        """Return the revisions of all zones that changed after *after*, for long polls.

        Those of all zones where the database is not that far: it was restored from an older copy.

        Raises:
            Problem: Forbidden.
        """
        rules.require_admin(actor, "read the zones of all VPCs")

        def work(connection: Any) -> dict[str, int]:
            is_known = after <= present_revision(connection)
            return zones.revisions(connection, after if is_known else 0)

        return self._units.read(work)

    def allow(self, actor: Actor, host_id: str) -> None:
        """Demand that the actor may ask for the host.

        Raises:
            Problem: Forbidden.
        """
        require_host(actor, host_id)

    def on_host(self, actor: Actor, host_id: str, vpc_ids: Iterable[str]) -> set[str]:
        """Return those of some VPCs of which the host has a guest: it hears of no others.

        Raises:
            Problem: Forbidden.
        """
        require_host(actor, host_id)
        return self._units.read(lambda connection: zones.on_host(connection, host_id, vpc_ids))

    def zone(self, actor: Actor, host_id: str, vpc_id: str, since: int = 0) -> ZoneDocument:
        """Return the zone of a VPC of which the host has a guest.

        Args:
            actor: who asks.
            host_id: the host.
            vpc_id: the VPC.
            since: revision of the zone that the host has, 0: none. What has changed is enough.

        Raises:
            Problem: NotFound, Forbidden.
        """
        require_host(actor, host_id)

        def work(connection: Any) -> ZoneDocument:
            row = VPCS.find(connection, vpc_id)
            if row is None or not zones.on_host(connection, host_id, (vpc_id,)):
                raise NotFound(f"The host has no guest of a VPC {rules.printable(vpc_id)}.")
            return _changes(connection, row, since) or _document(connection, row)

        return self._units.read(work)

    def metadata(self, actor: Actor, host_id: str, port_id: str) -> PortMetadata:
        """Return what was said for a guest of the host.

        Raises:
            Problem: NotFound, Forbidden.
        """
        require_host(actor, host_id)

        def work(connection: Any) -> PortMetadata:
            is_port = is_id("port", port_id)
            if not is_port or not port_metadata.is_on(connection, port_id, host_id):
                raise NotFound(f"The host has no guest {rules.printable(port_id)}.")
            row = port_metadata.get(connection, port_id)
            if row is None:
                raise NotFound(f"Nothing was said for {rules.printable(port_id)}.")
            said = shown(row)
            return sealed(
                PortMetadata(
                    port_id=port_id,
                    revision=row.revision,
                    user_data=said.user_data,
                    public_keys=said.public_keys,
                    metadata_tokens=said.metadata_tokens,
                )
            )

        return self._units.read(work)


def _document(connection: Any, row: VpcRow) -> ZoneDocument:
    """Return the whole zone of a VPC."""
    named = zones.named(connection, row.id) if row.dns_enabled else {}
    records = _records(connection, row) if row.dns_enabled else ()
    return _sealed(row, 0, _ports(named), records)


def _changes(connection: Any, row: VpcRow, since: int) -> ZoneDocument | None:
    """Return what has changed of a zone since a revision; None when only the whole says it."""
    if not 0 < since <= row.names_revision or not row.dns_enabled:
        return None
    touched = zones.touched(connection, row.tenant_id, since, _MOST_CHANGES)
    if touched is None or ("vpc", row.id) in touched:
        return None
    ids = {id for kind, id in touched if kind == "port"}
    gone: _Ports = dict.fromkeys(sorted(ids))
    changed = any(kind == "rec" for kind, _ in touched)
    ports = gone | _ports(zones.some_named(connection, row.id, gone))
    return _sealed(row, since, ports, _records(connection, row) if changed else None)


def _ports(named: Mapping[str, tuple[str, Sequence[str]]]) -> _Ports:
    return {id: (host_name(name, ()), tuple(addresses)) for id, (name, addresses) in named.items()}


def _records(connection: Any, row: VpcRow) -> tuple[ZoneRecord, ...]:
    records = dns_records.of_vpc(connection, row.id)
    return tuple(dns_values.on_wire(record, row.dns_domain) for record in records)


def _sealed(
    row: VpcRow, since: int, ports: _Ports, records: tuple[ZoneRecord, ...] | None
) -> ZoneDocument:
    return sealed(
        ZoneDocument(
            vpc_id=row.id,
            revision=row.names_revision,
            since=since,
            enabled=row.dns_enabled,
            domain=row.dns_domain,
            cidrs=tuple(row.cidrs),
            ports=ports,
            records=records,
        )
    )


def moved(unit: Unit, vpc_id: str) -> None:
    """Note that this unit changes what guests of a VPC are told of its names."""
    zones.move(unit.connection, vpc_id, unit.revision)
    unit.wake(TOPIC)
