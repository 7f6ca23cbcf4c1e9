"""What the use cases of DNS records take and give."""

from dataclasses import dataclass, field

from vpcctl.services.views import UNSET, Meta, Unset


@dataclass(frozen=True, slots=True)
class DnsRecordView:
    """Records of one name and type. ``full_name``: with the VPC's domain, without a final dot."""

    meta: Meta
    vpc_id: str
    type: str
    ttl: int
    values: tuple[str, ...]
    full_name: str


@dataclass(frozen=True, slots=True)
class DnsRecordCreate:
    """Values of new records."""

    vpc_id: str
    name: str
    type: str
    values: tuple[str, ...]
    ttl: int = 60
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DnsRecordChange:
    """Partial change of records; ``values`` is the whole new list."""

    values: tuple[str, ...] | Unset = UNSET
    ttl: int | Unset = UNSET
    description: str | Unset = UNSET
    tags: dict[str, str] | Unset = UNSET
