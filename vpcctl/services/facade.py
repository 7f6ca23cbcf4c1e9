"""The services in one object, as the API uses them.

All calls are synchronous and safe from several threads; all problems are ``vpcctl.model.problems``.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from vpcctl.services.address_groups import AddressGroupService
from vpcctl.services.context import Context
from vpcctl.services.counters import CounterService
from vpcctl.services.dhcp_options import DhcpOptionsService
from vpcctl.services.dns_records import DnsRecordService
from vpcctl.services.eips import EipService
from vpcctl.services.events import EventService
from vpcctl.services.external_networks import ExternalNetworkService
from vpcctl.services.group_rules import RuleService
from vpcctl.services.handovers import KEEP as HANDOVERS_KEEP
from vpcctl.services.hosts import HostService
from vpcctl.services.idempotency import KEEP, IdempotencyService, StoredResponse
from vpcctl.services.internet_gateways import InternetGatewayService
from vpcctl.services.nat_gateways import NatGatewayService
from vpcctl.services.network_acls import NetworkAclService
from vpcctl.services.pki import PkiService
from vpcctl.services.ports import PortService
from vpcctl.services.reports import ReportService, Sightings
from vpcctl.services.route_tables import RouteTableService
from vpcctl.services.security_groups import SecurityGroupService
from vpcctl.services.settings import Quotas, ServiceSettings
from vpcctl.services.status import Concern, HostSummary, Progress, StatusService, Summary
from vpcctl.services.subnets import SubnetService
from vpcctl.services.tokens import TokenService
from vpcctl.services.vpcs import VpcService
from vpcctl.services.zones import ZoneService
from vpcctl.store import events, handovers, hosts, idempotency
from vpcctl.store.database import Database
from vpcctl.store.ledger import told_settings
from vpcctl.store.southbound import SouthboundClient
from vpcctl.store.units import Unchanged, Unit, Units, utc_now
from vpcctl.store.wake import Waker
from vpcctl.wire.state import FORM

__all__ = [
    "Concern",
    "HostSummary",
    "Progress",
    "Quotas",
    "ServiceSettings",
    "Services",
    "StoredResponse",
    "Summary",
]

PRUNE_EVERY = timedelta(seconds=30)
PRUNE_AT_MOST = 10_000


class Services:
    """All services, on one database.

    Attributes:
        clock: returns the present as an aware datetime.
    """

    def __init__(
        self,
        database: Database,
        *,
        settings: ServiceSettings | None = None,
        waker: Waker | None = None,
        southbound: SouthboundClient | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.clock = clock
        self._settings = settings or ServiceSettings()
        self._units = Units(database, waker, clock)
        context = Context(self._units, self._settings)
        sightings = Sightings()
        self.vpcs = VpcService(context)
        self.subnets = SubnetService(context)
        self.dhcp_options = DhcpOptionsService(context)
        self.dns_records = DnsRecordService(context)
        self.zones = ZoneService(context)
        self.ports = PortService(context)
        self.security_groups = SecurityGroupService(context)
        self.group_rules = RuleService(context)
        self.address_groups = AddressGroupService(context)
        self.network_acls = NetworkAclService(context)
        self.route_tables = RouteTableService(context)
        self.nat_gateways = NatGatewayService(context)
        self.external_networks = ExternalNetworkService(context)
        self.internet_gateways = InternetGatewayService(context)
        self.eips = EipService(context)
        self.counters = CounterService(context, southbound)
        self.hosts = HostService(context, sightings)
        self.reports = ReportService(context, sightings)
        self.tokens = TokenService(context)
        self.events = EventService(context)
        self.idempotency = IdempotencyService(context)
        self.pki = PkiService(
            self._units, self._settings.pki_dir, life=self._settings.host_certificate_life
        )
        self.status = StatusService(context, sightings)
        self._announced = False
        self._next_prune = clock()

    def maintain(self) -> None:
        """Flush liveness, sweep it and prune old records; call it about every second.

        The first call also tells agents what of these settings is new to them.

        Raises:
            Unavailable: the database does not answer; call again.
        """
        if not self._announced:
            self._announce_settings()
            self._announced = True
        self.reports.flush_liveness()
        self.reports.sweep_liveness()
        now = self.clock()
        if now >= self._next_prune:
            self._next_prune = now + PRUNE_EVERY
            self._units.write_aside(lambda connection: self._prune(connection, now))

    def _announce_settings(self) -> None:
        settings = self._settings
        told = (settings.openflow_targets, settings.report_interval_s, settings.dns_forwarders)
        said = repr((*told, FORM))
        fingerprint = hashlib.sha256(said.encode()).hexdigest()

        def work(unit: Unit) -> None:
            if not told_settings(unit.connection, fingerprint):
                raise Unchanged(None)
            hosts.move_states_but(unit.connection, "", unit.revision)
            unit.wake("hoststate")

        self._units.write(work)

    def _prune(self, connection: Any, now: datetime) -> None:
        oldest = now - timedelta(seconds=self._settings.event_keep_s)
        events.prune(connection, oldest, self._settings.event_keep, PRUNE_AT_MOST)
        idempotency.prune(connection, now - KEEP)
        handovers.prune(connection, now - HANDOVERS_KEEP)
