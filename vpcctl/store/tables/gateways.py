"""Internet gateways, NAT gateways, the hosts that they are on, and port forwardings."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from vpcctl.store.tables.base import Address, Base, Described, Id, Timestamp


class InternetGatewayRow(Described, Base):
    """The way between a VPC and an external network."""

    __tablename__ = "internet_gateways"
    __table_args__ = (
        UniqueConstraint("vpc_id", "external_network_id"),
        Index("ix_internet_gateways_tenant_id_vni", "tenant_id", "vni"),
        Index("ix_internet_gateways_external_network_id", "external_network_id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    vpc_id: Mapped[str] = mapped_column(ForeignKey("vpcs.id", ondelete="RESTRICT"))
    tenant_id: Mapped[str] = mapped_column(String(64))
    external_network_id: Mapped[str] = mapped_column(
        ForeignKey("external_networks.id", ondelete="RESTRICT")
    )
    vni: Mapped[int] = mapped_column(Integer, unique=True)


class NatGatewayRow(Described, Base):
    """Source NAT of a VPC; its EIPs name it. ``key`` names its conntrack zone."""

    __tablename__ = "nat_gateways"
    __table_args__ = (
        Index("ix_nat_gateways_tenant_id_key", "tenant_id", "key"),
        Index("ix_nat_gateways_vpc_id", "vpc_id"),
        Index("ix_nat_gateways_external_network_id", "external_network_id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    vpc_id: Mapped[str] = mapped_column(ForeignKey("vpcs.id", ondelete="RESTRICT"))
    tenant_id: Mapped[str] = mapped_column(String(64))
    external_network_id: Mapped[str] = mapped_column(
        ForeignKey("external_networks.id", ondelete="RESTRICT")
    )
    vni: Mapped[int] = mapped_column(Integer, unique=True)
    key: Mapped[int] = mapped_column(Integer, unique=True)


class GatewayHostRow(Base):
    """A host of an internet or NAT gateway; ``place`` 0 is the one that is meant to be active.

    ``since`` is the revision since which it has that place.
    """

    __tablename__ = "gateway_hosts"
    __table_args__ = (Index("ix_gateway_hosts_host_id", "host_id"),)

    gateway_id: Mapped[str] = mapped_column(Id, primary_key=True)
    place: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    host_id: Mapped[str] = mapped_column(ForeignKey("hosts.id", ondelete="RESTRICT"))
    since: Mapped[int] = mapped_column(BigInteger)


class ForwardRow(Base):
    """Ports of a NAT gateway's EIP that lead to a fixed address.

    ``key`` is for order, the revision that made it. ``target_port_id`` has the address ``target``.
    """

    __tablename__ = "port_forwards"
    __table_args__ = (
        UniqueConstraint("eip_id", "protocol", "port_first"),
        Index("ix_port_forwards_nat_gateway_id_key", "nat_gateway_id", "key"),
        Index("ix_port_forwards_target_port_id", "target_port_id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    nat_gateway_id: Mapped[str] = mapped_column(ForeignKey("nat_gateways.id", ondelete="RESTRICT"))
    eip_id: Mapped[str] = mapped_column(ForeignKey("eips.id", ondelete="RESTRICT"))
    key: Mapped[int] = mapped_column(BigInteger)
    protocol: Mapped[int] = mapped_column(SmallInteger)
    port_first: Mapped[int] = mapped_column(Integer)
    port_last: Mapped[int] = mapped_column(Integer)
    target: Mapped[str] = mapped_column(Address)
    target_port: Mapped[int] = mapped_column(Integer)
    target_port_id: Mapped[str] = mapped_column(ForeignKey("ports.id", ondelete="RESTRICT"))
    description: Mapped[str] = mapped_column(String(1024))
    created_at: Mapped[datetime] = mapped_column(Timestamp)
