"""VPCs' private zones and ports' metadata, as the hosts of their guests fetch them."""

from collections.abc import Iterable
from typing import Any

from vpcctl.model.problems import NotFound
from vpcctl.services import dns_values, rules
from vpcctl.services.context import Context
from vpcctl.services.guests import host_name
from vpcctl.services.hosts import require_host
from vpcctl.services.port_metadata import shown
from vpcctl.services.views import Actor
from vpcctl.store import dns_records, port_metadata, zones
from vpcctl.store.tables import VpcRow
from vpcctl.store.units import Unit
from vpcctl.store.vpcs import VPCS
from vpcctl.wire.zones import PortMetadata, ZoneDocument, sealed

TOPIC = "zones"


class ZoneService:
    """What agents ask about names and metadata."""

    def __init__(self, context: Context) -> None:
        self._units = context.units

    def revisions(self, actor: Actor, after: int) -> dict[str, int]:
        """Return the revisions of all zones that changed after *after*, for long polls.

        Raises:
            Problem: Forbidden.
        """
        rules.require_admin(actor, "read the zones of all VPCs")
        return self._units.read(lambda connection: zones.revisions(connection, after))

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

    def zone(self, actor: Actor, host_id: str, vpc_id: str) -> ZoneDocument:
        """Return the zone of a VPC of which the host has a guest.

        Raises:
            Problem: NotFound, Forbidden.
        """
        require_host(actor, host_id)

        def work(connection: Any) -> ZoneDocument:
            row = VPCS.get(connection, vpc_id) if rules.well_formed("vpc", vpc_id) else None
            if row is None or not zones.on_host(connection, host_id, (vpc_id,)):
                raise NotFound(f"The host has no guest of a VPC {rules.printable(vpc_id)}.")
            return _document(connection, row)

        return self._units.read(work)

    def metadata(self, actor: Actor, host_id: str, port_id: str) -> PortMetadata:
        """Return what was said for a guest of the host.

        Raises:
            Problem: NotFound, Forbidden.
        """
        require_host(actor, host_id)

        def work(connection: Any) -> PortMetadata:
            well_formed = rules.well_formed("port", port_id)
            if not well_formed or not port_metadata.is_on(connection, port_id, host_id):
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
    enabled, domain = row.dns_enabled, row.dns_domain
    records = dns_records.of_vpc(connection, row.id) if enabled else ()
    named = zones.named(connection, row.id) if enabled else ()
    return sealed(
        ZoneDocument(
            vpc_id=row.id,
            revision=row.names_revision,
            enabled=enabled,
            domain=domain,
            cidrs=tuple(row.cidrs),
            ports=tuple((host_name(name, ()), tuple(addresses)) for name, addresses in named),
            records=tuple(dns_values.on_wire(record, domain) for record in records),
        )
    )


def moved(unit: Unit, vpc_id: str) -> None:
    """Note that this unit changes what guests of a VPC are told of its names."""
    zones.move(unit.connection, vpc_id, unit.revision)
    unit.wake(TOPIC)
