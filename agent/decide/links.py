"""Interfaces and attachments → the links of a report, and whether a change is worth one."""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from agent.decide import marks
from agent.decide.rows import InterfaceRow
from agent.wire.report import Link, LinkCounters
from agent.wire.state import Attachment
from vpcctl.model import addresses, ids
from vpcctl.model.gateway import MAX_PORT_OFPORT

MAX_OFPORT = 65279
"""Largest number of a port in OpenFlow 1.4 as Open vSwitch gives them out; see also
``MAX_PORT_OFPORT``."""
_TEXT = 255


def clip(text: str) -> str:
    """Return *text* as one line that fits a report's text field."""
    return " ".join(text.split())[:_TEXT]


def _mac(row: InterfaceRow) -> str | None:
    for text in (row.external_ids.get("attached-mac"), row.mac_in_use):
        if text:
            try:
                return addresses.format_mac(addresses.parse_mac(text))
            except ValueError:
                continue
    return None


def _error(row: InterfaceRow, problem: str | None) -> str | None:
    if row.foreign:
        return clip(f"interface {row.name} is not on the integration bridge")
    if row.ofport is not None and MAX_PORT_OFPORT < row.ofport <= MAX_OFPORT:
        return clip(too_high(row))
    text = row.error or problem
    return clip(text) if text else None


def too_high(row: InterfaceRow) -> str:
    """Return why an interface can be no port's, by its ofport."""
    return (
        f"interface {row.name} has ofport {row.ofport}; a port's is 1 to {MAX_PORT_OFPORT}: "
        "change its ofport_request"
    )


def link_of(row: InterfaceRow, netns: str | None, problem: str | None) -> Link | None:
    """Return the link that an interface is, or None when its iface-id is not a port id.

    Args:
        row: the interface.
        netns: namespace of the other end when the agent made it.
        problem: what the agent failed to do about this attachment.
    """
    port_id = row.external_ids.get("iface-id", "")
    if not ids.is_id("port", port_id):
        return None
    usable = row.ofport is not None and 1 <= row.ofport <= MAX_PORT_OFPORT and not row.foreign
    return Link(
        port_id=port_id,
        interface=row.name[:_TEXT],
        interface_uuid=row.uuid,
        ofport=row.ofport if usable else None,
        mac=_mac(row),
        netns=netns,
        admin_up=row.admin_up,
        oper_up=row.oper_up,
        error=_error(row, problem),
    )


def links(
    rows: Iterable[InterfaceRow],
    attachments: Mapping[str, Attachment],
    problems: Mapping[str, str],
) -> tuple[Link, ...]:
    """Return every link of the host, sorted by port and interface.

    An attachment that could not be made and has no interface yet is a link too: one with an
    error and without an ofport.

    Args:
        rows: interfaces of br-int and of other bridges.
        attachments: what the host state asks for, by port id.
        problems: port id → what the agent failed to do.
    """
    found: list[Link] = []
    seen: set[str] = set()
    for row in rows:
        port_id = row.external_ids.get("iface-id", "")
        wanted = attachments.get(port_id)
        netns = wanted.netns if wanted and row.name == marks.host_end(port_id) else None
        link = link_of(row, netns, problems.get(port_id))
        if link is not None:
            found.append(link)
            seen.add(port_id)
    found.extend(
        _unmade(port_id, attachments.get(port_id), problems[port_id])
        for port_id in problems.keys() - seen
    )
    return tuple(sorted(found, key=lambda link: (link.port_id, link.interface)))


def _unmade(port_id: str, wanted: Attachment | None, problem: str) -> Link:
    interface = marks.host_end(port_id)
    if wanted is not None and wanted.kind == "interface":
        interface = wanted.interface or interface
    return Link(
        port_id=port_id,
        interface=interface[:_TEXT],
        netns=wanted.netns[:_TEXT] if wanted and wanted.netns else None,
        admin_up=False,
        oper_up=False,
        error=clip(problem),
    )


def is_settled(link: Link) -> bool:
    """Tell whether OVS is through with an interface: it has an ofport or an error.

    A fresh interface gets its ofport within milliseconds, so a link that is not settled is not
    worth a report of its own.
    """
    return link.ofport is not None or link.error is not None


def with_counters(found: Iterable[Link], counters: Mapping[str, LinkCounters]) -> tuple[Link, ...]:
    """Return the links with the counters of their interfaces (by interface UUID)."""
    return tuple(
        replace(link, counters=counters[link.interface_uuid])
        if link.interface_uuid in counters
        else link
        for link in found
    )
