"""What guests are told when they ask for names and metadata, as documents with a revision.

They are no part of the host state: a host has those of its guests' VPCs and ports alone, and
fetches one when it is newer than the one that it holds.
"""

import hashlib
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from vpcctl.model import ids
from vpcctl.wire.state import Domain

RecordType = Literal["A", "AAAA", "CNAME", "MX", "PTR", "SRV", "TXT"]
Revision = Annotated[int, Field(ge=0, le=2**63 - 1)]


T = TypeVar("T", "ZoneDocument", "PortMetadata")


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ZoneRecord(_Wire):
    """Records of one name and type.

    Attributes:
        name: whole, in lower case, without a final dot.
        type: of all of them.
        ttl: how long they may be remembered, seconds.
        values: as in a zone file; names in them are whole, with a final dot.
    """

    name: str
    type: RecordType
    ttl: Annotated[int, Field(ge=0, le=2**31 - 1)]
    values: tuple[str, ...]


class ZoneDocument(_Wire):
    """A VPC's private zone, or what has changed of it.

    Attributes:
        vpc_id: the VPC.
        revision: of the newest change of it.
        since: 0: this is the whole zone; else the revision of the one that this is to be added to.
        digest: of the rest, see :func:`digest_of`.
        enabled: False: the VPC has no resolver.
        domain: under which its ports have their names.
        cidrs: its blocks, whose reverse names are its own.
        ports: (label, addresses) by port; None: the VPC has no such port (any more).
        records: all that its tenant has made; None: as they were.
    """

    vpc_id: Annotated[str, Field(pattern=ids.PATTERNS["vpc"])]
    revision: Revision
    since: Revision = 0
    digest: str = ""
    enabled: bool
    domain: Domain
    cidrs: tuple[str, ...]
    ports: dict[str, tuple[str, tuple[str, ...]] | None]
    records: tuple[ZoneRecord, ...] | None


class PortMetadata(_Wire):
    """What a port's owner has said for its guest.

    Attributes:
        port_id: the port.
        revision: drawn anew by each change of it.
        digest: of the rest, see :func:`digest_of`.
        user_data: in base64; None: none.
        public_keys: in OpenSSH's form.
        metadata_tokens: whether session tokens are asked for.
    """

    port_id: Annotated[str, Field(pattern=ids.PATTERNS["port"])]
    revision: Revision
    digest: str = ""
    user_data: str | None = None
    public_keys: tuple[str, ...] = ()
    metadata_tokens: Literal["optional", "required"] = "optional"


class KnownZones(_Wire):
    """What an agent holds: revisions by VPC, 0 for none."""

    known: Annotated[dict[str, Revision], Field(max_length=10_000)]


class ChangedZones(_Wire):
    """Which of them have another revision now."""

    changed: dict[str, Revision]


def digest_of(document: ZoneDocument | PortMetadata) -> str:
    """Return what a document's ``digest`` must be: one that was damaged is fetched again."""
    text = document.model_dump_json(exclude={"digest"})
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(document: T) -> T:
    """Return a document with its digest."""
    return document.model_copy(update={"digest": digest_of(document)})
