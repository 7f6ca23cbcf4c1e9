"""Which attachments to make, change or remove next. Time comes in as a number of seconds."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from agent.decide import marks
from agent.decide.backoff import Backoff
from agent.decide.links import MAX_OFPORT, too_high
from agent.decide.rows import IfaceIdWish, InterfaceRow, PlugWish, PortWish
from agent.wire.state import Attachment
from vpcctl.model.gateway import MAX_PORT_OFPORT


@dataclass(frozen=True, slots=True)
class Failure:
    """An attachment that could not be made.

    Attributes:
        text: what went wrong.
        count: failures in a row.
        retry_at: when to try again.
    """

    text: str
    count: int
    retry_at: float


@dataclass(slots=True)
class Ledger:
    """What is wanted against what was done, by port id. Not frozen: the reconciler's memory.

    Attributes:
        wanted: namespace attachments of the host state.
        done: attachments as last made.
        failed: those that could not be made.
        suspect: ports whose device, namespace or OVS row has changed under us.
        leftover: ports found on the host with our mark at the start, not judged yet.
    """

    wanted: dict[str, Attachment] = field(default_factory=dict[str, Attachment])
    done: dict[str, Attachment] = field(default_factory=dict[str, Attachment])
    failed: dict[str, Failure] = field(default_factory=dict[str, Failure])
    suspect: set[str] = field(default_factory=set[str])
    leftover: set[str] = field(default_factory=set[str])

    def want(self, attachments: Iterable[Attachment]) -> None:
        """Take in a new host state; a changed attachment is tried at once."""
        wanted: dict[str, Attachment] = {}
        for each in attachments:
            if each.kind == "namespace":
                # The same object for the same wish: later comparisons are by identity.
                before = self.wanted.get(each.port_id)
                wanted[each.port_id] = before if before == each and before else each
        for port_id in list(self.failed):
            if wanted.get(port_id) is not self.wanted.get(port_id):
                del self.failed[port_id]
        self.wanted = wanted

    def to_make(self, now: float) -> list[Attachment]:
        """Return what to make or look at now: what is new first, then by port id."""
        found = [
            each
            for port_id, each in self.wanted.items()
            if (self.done.get(port_id) is not each or port_id in self.suspect)
            and (port_id not in self.failed or self.failed[port_id].retry_at <= now)
        ]
        return sorted(found, key=lambda each: (each.port_id in self.done, each.port_id))

    def to_remove(self) -> list[str]:
        """Return ports that were made, or found with our mark, and are wanted no more."""
        return sorted((self.done.keys() | self.leftover) - self.wanted.keys())

    def next_retry(self) -> float | None:
        """Return when the first failed attachment is to be tried again, or None."""
        return min((failure.retry_at for failure in self.failed.values()), default=None)

    def succeeded(self, made: Attachment) -> None:
        """Note that an attachment is as it was wanted."""
        self.done[made.port_id] = made
        self.failed.pop(made.port_id, None)
        self.suspect.discard(made.port_id)
        self.leftover.discard(made.port_id)

    def failure(self, port_id: str, text: str, now: float, jitter: float) -> None:
        """Note that an attachment could not be made."""
        count = self.failed[port_id].count + 1 if port_id in self.failed else 1
        delay = Backoff().delay(count, jitter)
        self.failed[port_id] = Failure(text, count, now + delay)

    def removed(self, port_id: str) -> None:
        """Note that nothing is left of a port's attachment."""
        self.done.pop(port_id, None)
        self.leftover.discard(port_id)
        self.suspect.discard(port_id)

    def problems(self) -> dict[str, str]:
        """Return port id → error text of what could not be made."""
        return {port_id: failure.text for port_id, failure in self.failed.items()}


def plug(wanted: Attachment, bridge: str, owner: str) -> PlugWish:
    """Return the OVS port of a namespace attachment."""
    ids = {"iface-id": wanted.port_id, "attached-mac": wanted.mac.lower()}
    return PlugWish(bridge, PortWish(marks.host_end(wanted.port_id), owner, external_ids=ids))


_TUNNELS = frozenset(
    {"vxlan", "geneve", "gre", "ip6gre", "erspan", "ip6erspan", "stt", "lisp", "gtpu", "bareudp"}
)


def untouchable(row: InterfaceRow) -> str | None:
    """Return why an interface can be no workload's, whatever an attachment says; None: it can.

    What an agent made, what sits on another bridge, a bridge's own port and whatever leads to
    other hosts or bridges: with a port's identity, it would have its traffic, or all of it.
    """
    if row.external_ids.get(marks.OWNER_KEY) or row.name in (
        marks.TUNNEL,
        marks.GUESTS,
        marks.STANDS,
    ):
        return f"interface {row.name} belongs to an agent"
    if row.foreign:
        return f"interface {row.name} is not on the integration bridge"
    if row.type in _TUNNELS or row.type == "patch":
        return f"interface {row.name} is of type {row.type}"
    if row.ofport is not None and row.ofport > MAX_OFPORT:
        return f"interface {row.name} is a bridge's own"
    if row.ofport is not None and row.ofport > MAX_PORT_OFPORT:
        return too_high(row)
    return None


def refusals(
    attachments: Iterable[Attachment], rows: Iterable[InterfaceRow], owner: str
) -> dict[str, str]:
    """Return port id → why the interface that its attachment names does not get its iface-id."""
    named = _named(attachments)
    found: dict[str, str] = {}
    for row in rows if named else ():
        wanted = named.get(row.name)
        if wanted is None:
            continue
        have = row.external_ids.get("iface-id", wanted.port_id)
        text = untouchable(row)
        if (
            text is None
            and have != wanted.port_id
            and row.external_ids.get(marks.NAMED_KEY) != owner
        ):
            text = f"interface {row.name} has another iface-id already"
        if text is not None:
            found[wanted.port_id] = text
    return found


def _named(attachments: Iterable[Attachment]) -> dict[str, Attachment]:
    return {
        each.interface: each for each in attachments if each.kind == "interface" and each.interface
    }


def iface_ids(
    attachments: Iterable[Attachment], rows: Iterable[InterfaceRow], owner: str
) -> list[IfaceIdWish]:
    """Return the iface-ids to set on, or take from, interfaces that others plugged.

    Only an interface without an iface-id gets one, and only one that can be a workload's; only
    what we set is taken away.
    """
    named = _named(attachments)
    wishes: list[IfaceIdWish] = []
    for row in rows:
        have = row.external_ids.get("iface-id")
        ours = row.external_ids.get(marks.NAMED_KEY) == owner
        wanted = None if untouchable(row) else named.get(row.name)
        if wanted is not None and (have is None or (ours and have != wanted.port_id)):
            wishes.append(IfaceIdWish(row.name, wanted.port_id, wanted.mac.lower(), owner))
        elif wanted is None and ours and have is not None:
            wishes.append(IfaceIdWish(row.name, None, None, owner))
    return wishes
