"""Prometheus metrics, in a registry of their own for each application."""

import math
import time
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from vpcctl.model.counters import Drops
from vpcctl.services.facade import Summary
from vpcctl.services.routing_views import NatCountersView

_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_FRESH_S = 1.0
_HOST_STATES = ("up", "late", "down", "never")


class _Drops(Collector):
    """What the southbound has counted, as it was told last; nothing while it does not answer."""

    def __init__(self, name: str, text: str, *labels: str) -> None:
        self._about = (name, text)
        self._labels = labels
        self.sums: Mapping[tuple[str, ...], int] = {}

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the sums; a scrape may run beside the next one's question."""
        family = CounterMetricFamily(*self._about, labels=self._labels)
        for labels, packets in self.sums.items():
            family.add_metric(labels, packets)
        yield family


class Metrics:
    """What the API counts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._of_each = CollectorRegistry()  # what admins alone see, by id
        self._summarised_at = -math.inf
        self._requests = Counter(
            "vpcctl_api_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "vpcctl_api_request_seconds",
            "Time from a request's head to the end of its answer.",
            ("route",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self.streams = self._gauge("vpcctl_api_event_streams", "Event streams open.")
        self.polls = self._gauge("vpcctl_api_long_polls", "Host state long polls open.")
        self.database_up = self._gauge("vpcctl_database_up", "Whether the database answers.")
        self._revision = self._gauge("vpcctl_revision", "Newest revision stored.")
        self._processed = self._gauge(
            "vpcctl_processed_revision", "Revision up to which the southbound has read."
        )
        self._lag = self._gauge("vpcctl_revision_lag", "Revisions the southbound is behind.")
        self._hosts = Gauge(
            "vpcctl_hosts", "Hosts by liveness.", ("state",), registry=self._registry
        )
        self._connections = Gauge(
            "vpcctl_host_connections",
            "Hosts by OpenFlow connection.",
            ("connection",),
            registry=self._registry,
        )
        self._resources = Gauge(
            "vpcctl_resources", "Resources stored.", ("kind",), registry=self._registry
        )

        self._nat_connections = self._of_nat("connections", "Connections through a NAT gateway.")
        self._nat_ports = self._of_nat("ports", "Ports of a NAT gateway's EIP in use.", "address")
        self._nat_failures = self._of_nat(
            "failures", "Packets that found no port since the gateway is active where it is."
        )

        text = "Packets that flows of hosts have dropped, as of their last audits."
        self._drops = _Drops("vpcctl_drops", text, "reason")
        self._host_drops = _Drops("vpcctl_host_drops", text, "host", "reason")
        self._registry.register(self._drops)
        self._of_each.register(self._host_drops)

    def _of_nat(self, name: str, text: str, *labels: str) -> Gauge:
        labels = ("gateway", *labels)
        return Gauge(f"vpcctl_nat_gateway_{name}", text, labels, registry=self._of_each)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self._registry)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def is_stale(self) -> bool:
        """Tell whether the network's numbers are older than a second; they cost queries."""
        return time.monotonic() - self._summarised_at > _FRESH_S

    def summarise(self, summary: Summary) -> None:
        """Take over the network's numbers."""
        self._summarised_at = time.monotonic()
        self.database_up.set(1)
        self._revision.set(summary.revision)
        self._processed.set(summary.processed_revision)
        self._lag.set(summary.lag)
        for kind in ("vpcs", "subnets", "ports"):
            self._resources.labels(kind).set(getattr(summary, kind))
        self._resources.labels("hosts").set(len(summary.hosts))
        states = [host.state for host in summary.hosts]
        for state in _HOST_STATES:
            self._hosts.labels(state).set(states.count(state))
        connections = [host.connection for host in summary.hosts]
        for connection in ("in_sync", "pending", "degraded", "disconnected"):
            self._connections.labels(connection).set(connections.count(connection))

    def count_nat(self, counted: Mapping[str, NatCountersView]) -> None:
        """Take over the counters of NAT gateways, by id; what others there were is gone."""
        for gauge in (self._nat_connections, self._nat_ports, self._nat_failures):
            gauge.clear()
        for id, one in counted.items():
            if one.connections is not None:
                self._nat_connections.labels(id).set(one.connections)
            for ports in one.ports or ():
                self._nat_ports.labels(id, str(ports.eip.address)).set(ports.count)
            if one.failures is not None:
                self._nat_failures.labels(id).set(one.failures)

    def count_drops(self, drops: Drops | None) -> None:
        """Take over what hosts have dropped; None: it is not known now."""
        by_reason, by_host = ({}, {}) if drops is None else drops
        self._drops.sums = {(reason,): packets for reason, packets in by_reason.items()}
        self._host_drops.sums = {
            (host, reason): packets
            for host, sums in by_host.items()
            for reason, packets in sums.items()
        }

    def render(self, *, of_each: bool) -> bytes:
        """Return the exposition text, with or without what is told of each by its id."""
        text = generate_latest(self._registry)
        return text + generate_latest(self._of_each) if of_each else text
