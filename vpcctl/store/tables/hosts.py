"""Hosts, when they reported last, and how far each has come."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from vpcctl.store.tables.base import Address, Base, Described, Id, Timestamp


class HostRow(Described, Base):
    """A host: what the operator said of it and what its agent reported.

    Attributes:
        pinned_vtep: VTEP the operator insists on; None: what the agent reports.
        vtep: the VTEP in effect.
        inner_mtu: what the underlay leaves for guests' frames, bytes; None until reported.
        state_revision: revision of the newest thing in this host's state.
        digest: of the last full report accepted.
        reported_dpid: datapath id that br-int had, as hexadecimal digits (it has 64 bits).
        gateway: gateways may be placed on it.
        drained: gateways are moved off it, and none is placed on it.
        providers: provider networks that its agent's settings name.
        outside: ``[network id, ofport, bridge]`` of each external network that it reaches; with
            an objection as the fourth where its claim is not believed.
        reach_revisions: of the newest change of how it reaches an external network, or whether, by
            the network's id; one that is missing has not changed since that is kept.
        watches: ``[host id, ofport, up]`` of each host that it watches.
        meters: OpenFlow meters that its datapath has.
    """

    __tablename__ = "hosts"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    key: Mapped[int] = mapped_column(Integer, unique=True)
    availability_zone: Mapped[str | None] = mapped_column(String(64))
    pinned_vtep: Mapped[str | None] = mapped_column(Address)
    vtep: Mapped[str | None] = mapped_column(Address, unique=True)
    tunnel_ofport: Mapped[int | None] = mapped_column(Integer)
    nd_extensions: Mapped[bool] = mapped_column(Boolean)
    guest_services: Mapped[bool] = mapped_column(Boolean)
    inner_mtu: Mapped[int | None] = mapped_column(Integer, index=True)
    reported_dpid: Mapped[str | None] = mapped_column(String(16))
    agent_id: Mapped[str | None] = mapped_column(String(32))
    agent_version: Mapped[str | None] = mapped_column(String(64))
    ovs_version: Mapped[str | None] = mapped_column(String(64))
    datapath_type: Mapped[str | None] = mapped_column(String(16))
    errors: Mapped[list[str]] = mapped_column(JSON)
    digest: Mapped[str | None] = mapped_column(String(64))
    state_revision: Mapped[int] = mapped_column(BigInteger)
    gateway: Mapped[bool] = mapped_column(Boolean)
    drained: Mapped[bool] = mapped_column(Boolean)
    providers: Mapped[list[str]] = mapped_column(JSON)
    outside: Mapped[list[Any]] = mapped_column(JSON)
    reach_revisions: Mapped[dict[str, int]] = mapped_column(JSON)
    watches: Mapped[list[Any]] = mapped_column(JSON)
    meters: Mapped[int] = mapped_column(BigInteger)


class LivenessRow(Base):
    """The newest report of a host.

    Attributes:
        announced: the liveness last told as an event.
        lost: most of the hosts that watch it, of those that report, do not see it.
        nat: what it counted last of the NAT gateways that it is the active host of, each as
            ``NatCounts`` has it; None: nothing ever.
    """

    __tablename__ = "liveness"

    host_id: Mapped[str] = mapped_column(
        ForeignKey("hosts.id", ondelete="CASCADE"), primary_key=True
    )
    boot: Mapped[int] = mapped_column(BigInteger)
    sequence: Mapped[int] = mapped_column(BigInteger)
    last_report_at: Mapped[datetime | None] = mapped_column(Timestamp)
    announced: Mapped[str] = mapped_column(String(8))
    lost: Mapped[bool] = mapped_column(Boolean)
    nat: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))


class RealisationRow(Base):
    """How far a host has come, as the southbound recorded it."""

    __tablename__ = "realisation"

    host_id: Mapped[str] = mapped_column(
        ForeignKey("hosts.id", ondelete="CASCADE"), primary_key=True
    )
    revision: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16))
    error: Mapped[str | None] = mapped_column(String(1024))
    flows: Mapped[int] = mapped_column(Integer)


class ProgressRow(Base):
    """The one row that says up to which revision the southbound has taken the feed."""

    __tablename__ = "progress"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    processed: Mapped[int] = mapped_column(BigInteger)
