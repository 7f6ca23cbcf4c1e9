"""Counters of the southbound, and the ring of stage timings that shows where a change's time goes."""

import threading
from collections import deque
from dataclasses import dataclass
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

_STAGES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_RING = 512


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one stage of one round took.

    Attributes:
        revision: what the round led to.
        stage: ``feed``, ``plan``, ``encode``, ``send`` (to the last byte), ``confirm`` (barrier).
        subject: host id for ``send`` and ``confirm``, else empty.
        seconds: duration.
    """

    revision: int
    stage: str
    subject: str
    seconds: float


class Metrics:
    """Everything counted, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.connections = Gauge(
            "vpcctl_southbound_connections", "Switches connected and accepted", registry=r
        )
        self.hosts = Gauge("vpcctl_southbound_hosts", "Hosts by standing", ("state",), registry=r)
        self.processed = Gauge(
            "vpcctl_southbound_processed_revision", "Revision taken from the feed", registry=r
        )
        self.flow_mods = Counter(
            "vpcctl_southbound_flow_mods", "Flow-mods in confirmed bundles", registry=r
        )
        self.bundles = Counter(
            "vpcctl_southbound_bundles", "Bundles by outcome", ("outcome",), registry=r
        )
        self.drift = Counter(
            "vpcctl_southbound_drift", "Flows found wrong and repaired", ("kind",), registry=r
        )
        self.resyncs = Counter(
            "vpcctl_southbound_resyncs", "Comparisons of a whole switch", ("cause",), registry=r
        )
        self.faults = Counter(
            "vpcctl_southbound_faults", "Connections dropped for a fault of the peer", registry=r
        )
        self.refused = Counter(
            "vpcctl_southbound_refused", "Switches refused", ("reason",), registry=r
        )
        self.stage = Histogram(
            "vpcctl_southbound_stage_seconds",
            "Duration of the stages of a change",
            ("stage",),
            buckets=_STAGES,
            registry=r,
        )
        self._stages = {
            name: self.stage.labels(name) for name in ("feed", "plan", "encode", "send", "confirm")
        }
        self.timings: deque[Timing] = deque(maxlen=_RING)

    def time(self, revision: int, stage: str, seconds: float, subject: str = "") -> None:
        """Note how long a stage took."""
        self.timings.append(Timing(revision, stage, subject, seconds))
        self._stages[stage].observe(seconds)

    def serve(self, listen: str) -> tuple[WSGIServer, threading.Thread]:
        """Serve the registry over HTTP at ``host:port``."""
        host, _, port = listen.rpartition(":")
        return start_http_server(int(port), host.strip("[]"), registry=self.registry)
