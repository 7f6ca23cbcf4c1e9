"""The services in one object, as the API uses them.

All calls are synchronous and safe from several threads; all problems are ``vpcctl.model.problems``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from vpcctl.services.views import (
    Actor,
    EventView,
    HostChange,
    HostCreate,
    HostView,
    Listing,
    Page,
    PortChange,
    PortCreate,
    PortView,
    Role,
    SubnetChange,
    SubnetCreate,
    SubnetView,
    TokenView,
    VpcChange,
    VpcCreate,
    VpcView,
)
from vpcctl.wire.report import LinkReport, ReportAnswer
from vpcctl.wire.state import HostState

V = TypeVar("V", covariant=True)
C = TypeVar("C", contravariant=True)
H = TypeVar("H", contravariant=True)


@dataclass(frozen=True, slots=True)
class Quotas:
    """How much one tenant may have."""

    vpcs: int = 1_000
    subnets: int = 5_000
    ports: int = 100_000


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What the services need to know of the deployment.

    Attributes:
        openflow_targets: OVSDB controller targets that agents are told.
        report_interval_s: seconds between two reports of an agent.
        quotas: limits per tenant.
        event_keep_s: how long events are kept, seconds.
        event_keep: how many events are kept at most.
    """

    openflow_targets: tuple[str, ...] = ("tcp:127.0.0.1:6653",)
    report_interval_s: float = 5.0
    quotas: Quotas = field(default_factory=Quotas)
    event_keep_s: float = 7 * 86_400.0
    event_keep: int = 1_000_000


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response kept under an Idempotency-Key."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Concern:
    """Whose acknowledgement a write needs: take it before a delete, or after a create/change.

    Attributes:
        vpc_id: all hosts with a located port of this VPC; None for a host.
        hosts: hosts concerned when this was taken.
    """

    vpc_id: str | None
    hosts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a revision has come: ``realized``, or the hosts that are behind with the reason."""

    realized: bool
    processed_revision: int
    behind: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class HostSummary:
    """One line of ``vpcctl status``."""

    id: str
    name: str
    state: str
    connection: str
    error: str | None
    realized_revision: int
    ports: int
    flows: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole network in numbers. ``lag`` is ``revision - processed_revision``."""

    revision: int
    processed_revision: int
    lag: int
    vpcs: int
    subnets: int
    ports: int
    located_ports: int
    hosts: tuple[HostSummary, ...]


class Resources(Protocol[V, C, H]):
    """What vpcs, subnets, ports and hosts have in common."""

    def create(self, actor: Actor, values: C) -> V: ...
    def get(self, actor: Actor, id: str) -> V: ...
    def list(self, actor: Actor, listing: Listing) -> Page[V]: ...
    def change(self, actor: Actor, id: str, values: H, if_match: int | None = None) -> V: ...
    def delete(self, actor: Actor, id: str, if_match: int | None = None) -> int:
        """Delete it and return the revision that this made."""
        ...


class Hosts(Resources[HostView, HostCreate, HostChange], Protocol):
    """Hosts: admin only; a host's own token may get itself and its state."""

    def state(self, actor: Actor, host_id: str) -> HostState: ...
    def state_revision(self, actor: Actor, host_id: str) -> int:
        """Return the revision :meth:`state` would have now: one cheap query for long polls."""
        ...


class Reports(Protocol):
    """Link reports and what follows from their absence."""

    def accept(self, actor: Actor, host_id: str, report: LinkReport) -> ReportAnswer: ...
    def flush_liveness(self) -> int:
        """Write report times and counters gathered since the last call (call about every second).

        Returns the number of hosts written.
        """
        ...

    def sweep_liveness(self) -> int:
        """Make an event for every host that went up, late or down; return how many."""
        ...


class Tokens(Protocol):
    """Bearer tokens."""

    def create(
        self,
        actor: Actor,
        role: Role,
        tenant_id: str | None = None,
        host_id: str | None = None,
        description: str = "",
        expires_at: datetime | None = None,
    ) -> tuple[TokenView, str]: ...
    def list(self, actor: Actor, listing: Listing) -> Page[TokenView]: ...
    def get(self, actor: Actor, id: str) -> TokenView: ...
    def revoke(self, actor: Actor, id: str) -> None: ...
    def authenticate(self, secret: str) -> Actor: ...
    def bootstrap(self, path: Path) -> None: ...


class Events(Protocol):
    """The event stream."""

    def since(
        self, actor: Actor, after: tuple[int, int], limit: int = 500
    ) -> tuple[EventView, ...]: ...
    def latest(self) -> tuple[int, int]:
        """Return (revision, sequence) of the newest event, (0, 0) when there is none."""
        ...

    def pruned(self) -> int:
        """Return the revision up to which events are gone."""
        ...


class Idempotency(Protocol):
    """Idempotency-Key records, kept for 24 hours per tenant."""

    def replay(self, actor: Actor, key: str, request_hash: str) -> StoredResponse | None:
        """Return the stored response, or reserve the key and return None: then do the work.

        Raises:
            IdempotencyMismatch: the key was used for another request.
            Conflict: the first request with this key is still being worked on.
        """
        ...

    def store(self, actor: Actor, key: str, response: StoredResponse) -> None:
        """Complete the reservation with the response."""
        ...

    def release(self, actor: Actor, key: str) -> None:
        """Give the reservation back: the request failed and may be tried again."""
        ...


class Realisation(Protocol):
    """Status across resources, and the pieces of waiting for realisation."""

    def concern(self, actor: Actor, kind: str, id: str) -> Concern: ...
    def progress(self, concern: Concern, revision: int) -> Progress: ...
    def summary(self, actor: Actor) -> Summary: ...
    def ready(self) -> None:
        """Return when the database answers; raise Unavailable otherwise."""
        ...


class Services(Protocol):
    """All services.

    Built as ``Services(database, settings=ServiceSettings(...), waker=Waker(run_dir),
    clock=...)``; ``clock`` returns an aware datetime and defaults to the present in UTC.
    """

    vpcs: Resources[VpcView, VpcCreate, VpcChange]
    subnets: Resources[SubnetView, SubnetCreate, SubnetChange]
    ports: Resources[PortView, PortCreate, PortChange]
    hosts: Hosts
    reports: Reports
    tokens: Tokens
    events: Events
    idempotency: Idempotency
    status: Realisation
    clock: Callable[[], datetime]

    def maintain(self) -> None:
        """Flush liveness, sweep it and prune old records; call it about every second."""
        ...
