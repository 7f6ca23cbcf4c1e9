"""Ports, their addresses, and where they have been seen."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from vpcctl.store.tables.base import Address, Base, Described, Id, Limited, Timestamp


class PortRow(Described, Limited, Base):
    """A port. ``pairs`` is a list of ``[cidr, mac as int or None]``.

    The attachment is the four ``attach_*`` columns; ``attach_kind`` None: there is none. An OVS
    interface (kind ``interface``) has the empty text as its namespace. ``dhcp_options`` are those
    that the port says in place of its VPC's.
    """

    __tablename__ = "ports"
    __table_args__ = (
        UniqueConstraint("subnet_id", "mac"),
        UniqueConstraint("attach_host_id", "attach_netns", "attach_interface"),
        Index("ix_ports_limit_number", "limit_number", unique=True),
        Index("ix_ports_tenant_id_key", "tenant_id", "key"),
        Index("ix_ports_subnet_id_key", "subnet_id", "key"),
        Index("ix_ports_vpc_id_key", "vpc_id", "key"),
        Index("ix_ports_subnet_id_attach_host_id", "subnet_id", "attach_host_id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    subnet_id: Mapped[str] = mapped_column(ForeignKey("subnets.id", ondelete="RESTRICT"))
    vpc_id: Mapped[str] = mapped_column(ForeignKey("vpcs.id", ondelete="RESTRICT"))
    tenant_id: Mapped[str] = mapped_column(String(64))
    key: Mapped[int] = mapped_column(BigInteger, unique=True)
    mac: Mapped[int] = mapped_column(BigInteger)
    port_security: Mapped[bool] = mapped_column(Boolean)
    pairs: Mapped[list[Any]] = mapped_column(JSON)
    admin_up: Mapped[bool] = mapped_column(Boolean)
    source_dest_check: Mapped[bool] = mapped_column(Boolean)
    dhcp_options: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    attach_kind: Mapped[str | None] = mapped_column(String(16))
    attach_host_id: Mapped[str | None] = mapped_column(ForeignKey("hosts.id", ondelete="RESTRICT"))
    attach_interface: Mapped[str | None] = mapped_column(String(255))
    attach_netns: Mapped[str | None] = mapped_column(String(255))


class AddressRow(Base):
    """A fixed address of a port; the primary key is what makes it one port's alone."""

    __tablename__ = "addresses"
    __table_args__ = (Index("ix_addresses_port_id", "port_id"),)

    subnet_id: Mapped[str] = mapped_column(
        ForeignKey("subnets.id", ondelete="RESTRICT"), primary_key=True
    )
    address: Mapped[str] = mapped_column(Address, primary_key=True)
    port_id: Mapped[str] = mapped_column(ForeignKey("ports.id", ondelete="RESTRICT"))
    family: Mapped[int] = mapped_column(SmallInteger)
    place: Mapped[int] = mapped_column(SmallInteger)


class LinkRow(Base):
    """A host's claim to a port, as last reported. The port may be unknown: then it is ignored."""

    __tablename__ = "links"
    __table_args__ = (Index("ix_links_port_id", "port_id"),)

    host_id: Mapped[str] = mapped_column(
        ForeignKey("hosts.id", ondelete="CASCADE"), primary_key=True
    )
    port_id: Mapped[str] = mapped_column(Id, primary_key=True)
    interface: Mapped[str] = mapped_column(String(255))
    interface_uuid: Mapped[str] = mapped_column(String(36))
    ofport: Mapped[int | None] = mapped_column(Integer)
    mac: Mapped[str | None] = mapped_column(String(17))
    netns: Mapped[str | None] = mapped_column(String(255))
    admin_up: Mapped[bool] = mapped_column(Boolean)
    oper_up: Mapped[bool] = mapped_column(Boolean)
    error: Mapped[str | None] = mapped_column(String(255))
    counters: Mapped[dict[str, Any]] = mapped_column(JSON)
    claimed_revision: Mapped[int] = mapped_column(BigInteger)
    reported_at: Mapped[datetime] = mapped_column(Timestamp)


class LocationRow(Base):
    """Where a port is: the winning claim. Its subnet and VPC are the port's."""

    __tablename__ = "locations"
    __table_args__ = (
        Index("ix_locations_host_id_port_id", "host_id", "port_id"),
        Index("ix_locations_vpc_id_host_id", "vpc_id", "host_id"),
        Index("ix_locations_subnet_id_host_id", "subnet_id", "host_id"),
    )

    port_id: Mapped[str] = mapped_column(
        ForeignKey("ports.id", ondelete="RESTRICT"), primary_key=True
    )
    host_id: Mapped[str] = mapped_column(ForeignKey("hosts.id", ondelete="RESTRICT"))
    vpc_id: Mapped[str] = mapped_column(ForeignKey("vpcs.id", ondelete="RESTRICT"))
    subnet_id: Mapped[str] = mapped_column(Id)
    ofport: Mapped[int] = mapped_column(Integer)
    revision: Mapped[int] = mapped_column(BigInteger)


class PresenceRow(Base):
    """How many located ports a VPC has on a host: maintained, and gone at zero."""

    __tablename__ = "presence"
    __table_args__ = (Index("ix_presence_host_id", "host_id"),)

    vpc_id: Mapped[str] = mapped_column(
        ForeignKey("vpcs.id", ondelete="RESTRICT"), primary_key=True
    )
    host_id: Mapped[str] = mapped_column(
        ForeignKey("hosts.id", ondelete="RESTRICT"), primary_key=True
    )
    ports: Mapped[int] = mapped_column(Integer)
