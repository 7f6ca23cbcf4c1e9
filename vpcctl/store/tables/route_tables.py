"""Route tables, their routes, and where these lead."""

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from vpcctl.store.tables.base import Base, Described, Id


class RouteTableRow(Described, Base):
    """A route table; ``main_of`` is its VPC where it is that VPC's main one, else None."""

    __tablename__ = "route_tables"
    __table_args__ = (
        Index("ix_route_tables_tenant_id_key", "tenant_id", "key"),
        Index("ix_route_tables_vpc_id_key", "vpc_id", "key"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    vpc_id: Mapped[str] = mapped_column(ForeignKey("vpcs.id", ondelete="RESTRICT"))
    tenant_id: Mapped[str] = mapped_column(String(64))
    key: Mapped[int] = mapped_column(BigInteger, unique=True)
    main_of: Mapped[str | None] = mapped_column(
        ForeignKey("vpcs.id", ondelete="RESTRICT"), unique=True
    )


class RouteRow(Base):
    """A route: a block as canonical text. One without targets is a blackhole."""

    __tablename__ = "routes"

    table_id: Mapped[str] = mapped_column(
        ForeignKey("route_tables.id", ondelete="RESTRICT"), primary_key=True
    )
    destination: Mapped[str] = mapped_column(String(43), primary_key=True)
    description: Mapped[str] = mapped_column(String(1024))


class RouteTargetRow(Base):
    """A target of a route; ``kind`` is ``internet``, ``nat`` or ``port``."""

    __tablename__ = "route_targets"
    __table_args__ = (
        ForeignKeyConstraint(
            ["table_id", "destination"],
            ["routes.table_id", "routes.destination"],
            ondelete="CASCADE",
        ),
        Index("ix_route_targets_target_id", "target_id"),
    )

    table_id: Mapped[str] = mapped_column(Id, primary_key=True)
    destination: Mapped[str] = mapped_column(String(43), primary_key=True)
    target_id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
