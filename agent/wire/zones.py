"""What the agent says and reads of names and metadata, told in :mod:`vpcctl.wire.zones`.

A zone may have a hundred thousand names, which are of no use to the agent: it writes down the text
as it came, and reads only what it is of.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Generic, Literal, TypeVar

from msgspec import Meta, Raw

from agent.wire.base import Unreadable, Wire, exactly, read
from agent.wire.state import Domain, PortId
from vpcctl.model import ids

Revision = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_DIGEST = re.compile(rb'"digest":"([0-9a-f]{64})",')
"""The first one in a document is its own: only ids and numbers stand before it."""

T = TypeVar("T", "ZoneDocument", "PortMetadata")


class ZoneDocument(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.zones.ZoneDocument`; of names and records only that they are JSON."""

    vpc_id: Annotated[str, Meta(pattern=exactly(ids.PATTERNS["vpc"]))]
    revision: Revision
    since: Revision = 0
    digest: str = ""
    enabled: bool
    domain: Domain
    cidrs: tuple[str, ...]
    ports: Raw
    records: Raw


class PortMetadata(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.zones.PortMetadata`."""

    port_id: PortId
    revision: Revision
    digest: str = ""
    user_data: str | None = None
    public_keys: tuple[str, ...] = ()
    metadata_tokens: Literal["optional", "required"] = "optional"


class KnownZones(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.zones.KnownZones`."""

    known: dict[str, Revision]


class ChangedZones(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.zones.ChangedZones`."""

    changed: dict[str, Revision]


@dataclass(frozen=True, slots=True)
class Sealed(Generic[T]):
    """A document whose digest is right.

    Attributes:
        text: of it, in one line.
        said: what it says.
    """

    text: bytes
    said: T


def unsealed(kind: type[T], text: bytes) -> Sealed[T]:
    """Return a document that carries a digest of the rest of its text.

    Raises:
        Unreadable: it is none of that kind, or damaged.
    """
    said = read(kind, text)
    found = _DIGEST.search(text)
    if found is None or b"\n" in text:
        raise Unreadable("no digest")
    digest = hashlib.sha256(text[: found.start()])
    digest.update(text[found.end() :])
    if digest.hexdigest() != said.digest:
        raise Unreadable("damaged")
    return Sealed(text, said)
