"""Attachments: what is accepted as the place where the API wants a port plugged."""

import re
from typing import Any

from vpcctl.model.problems import Blocker, Conflict, Invalid
from vpcctl.services import rules
from vpcctl.services.settings import ServiceSettings
from vpcctl.services.views import Actor, AttachmentView
from vpcctl.store import hosts, ports
from vpcctl.store.hosts import HOSTS
from vpcctl.store.units import Unit

DEFAULT_INTERFACE = "eth0"
_INTERFACE = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.@-]{1,15}")
_NETNS = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.-]{1,128}")

Columns = dict[str, str | None]

NONE: Columns = {
    "attach_kind": None,
    "attach_host_id": None,
    "attach_interface": None,
    "attach_netns": None,
}


def columns(wanted: AttachmentView | None, port_id: str) -> Columns:
    """Return the columns of an attachment, with defaults filled in.

    A namespace is named after its port when it has no name.

    Raises:
        Invalid: a name is malformed or one that is needed is missing.
    """
    if wanted is None:
        return NONE
    if wanted.kind == "namespace":
        interface, netns = wanted.interface or DEFAULT_INTERFACE, wanted.netns or port_id
        _require(netns, _NETNS, "attachment.netns", "1 to 128 letters, digits and _ . -")
        if wanted.host_id is None:
            raise Invalid(
                "No host is named to make the namespace on.",
                field="attachment.host_id",
                accepted="the id of an existing host, host-…",
            )
    else:
        interface, netns = wanted.interface, ""
        if wanted.netns is not None:
            raise Invalid(
                "An OVS interface has no namespace here.",
                field="attachment.netns",
                accepted="null for kind interface",
            )
    if interface is not None:
        says = "1 to 15 letters, digits and _ . @ -"
        _require(interface, _INTERFACE, "attachment.interface", says)
    return {
        "attach_kind": wanted.kind,
        "attach_host_id": wanted.host_id,
        "attach_interface": interface,
        "attach_netns": netns,
    }


def require_nameable(actor: Actor, wanted: Columns, settings: ServiceSettings) -> None:
    """Demand that who names an OVS interface of a host may do so.

    A tenant cannot know what else is plugged there, so naming is the operator's.

    Raises:
        Forbidden: only an admin may, or tenants where the setting says so.
    """
    if wanted["attach_kind"] != "interface" or wanted["attach_interface"] is None:
        return
    if not settings.tenants_name_interfaces:
        rules.require_admin(actor, "name an OVS interface of a host")


def _require(value: str, pattern: re.Pattern[str], field: str, accepted: str) -> None:
    if not pattern.fullmatch(value):
        raise Invalid(
            f"{rules.printable(value)} cannot be a name here.", field=field, accepted=accepted
        )


def view(row: Any) -> AttachmentView | None:
    """Return the attachment in a port's row."""
    if row.attach_kind is None:
        return None
    return AttachmentView(
        row.attach_kind, row.attach_host_id, row.attach_interface, row.attach_netns or None
    )


def require_pluggable(unit: Unit, wanted: Columns, port_id: str, tenant_id: str) -> None:
    """Demand that the host exists and the place is neither taken nor another tenant's.

    Raises:
        Problem: Invalid (no such host), Conflict (taken).
    """
    host_id = wanted["attach_host_id"]
    if host_id is None:
        return
    if HOSTS.find(unit.connection, host_id) is None:
        raise Invalid(
            f"There is no host {rules.printable(host_id)}.",
            field="attachment.host_id",
            accepted="the id of an existing host, host-…",
        )
    netns = wanted["attach_netns"] or ""
    for other in ports.plugged(unit.connection, host_id, netns):
        if other.id == port_id:
            continue
        if netns and other.tenant_id != tenant_id:
            raise Conflict(
                f"The namespace {netns} of {host_id} is not this tenant's.",
                field="attachment.netns",
                accepted="a namespace without other tenants' ports",
            )
        taken = wanted["attach_interface"]
        if taken is not None and other.attach_interface == taken:
            raise _taken(taken, other, tenant_id)


def _taken(interface: str, other: Any, tenant_id: str) -> Conflict:
    mine = other.tenant_id == tenant_id
    return Conflict(
        f"The interface {interface} belongs to {other.id if mine else 'another port'}.",
        field="attachment.interface",
        accepted="an interface that no other port is attached to",
        blockers=(Blocker("port", other.id, "is attached there"),) if mine else (),
    )


def touch_hosts(unit: Unit, *host_ids: str | None, soon: bool = False) -> None:
    """Note that the state of these hosts changed; None stands for no host.

    *Soon*: their agents are to hear of it after the southbound had its turn, not at once.
    """
    known = [id for id in host_ids if id is not None]
    if known:
        hosts.move_state(unit.connection, known, unit.revision)
        unit.wake("hoststate-soon" if soon else "hoststate")


def touch_hosts_with(unit: Unit, which: Any = None, *, soon: bool = False) -> None:
    """Note that the state changed of all hosts with a port in the subnets of *which*; None: any.

    *Soon*: as above.
    """
    hosts.move_states_with(unit.connection, unit.revision, which)
    unit.wake("hoststate-soon" if soon else "hoststate")
