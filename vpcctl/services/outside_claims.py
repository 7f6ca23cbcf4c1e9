"""What hosts say they reach outside, and what of it is believed.

The name of a bridge stands for one provider network in the whole installation: were it another one
on another host, one of the two would put tenants' packets where nobody wants them. Whoever said it
first is believed; the other is not, until they agree. A bridge that an agent made of a device is
called after the device, and which device leads where is each host's own matter.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from vpcctl.services.context import changed
from vpcctl.store.external_networks import EXTERNAL_NETWORKS
from vpcctl.store.hosts import HOSTS, accepted
from vpcctl.store.tables import HostRow
from vpcctl.store.units import Unit

_MADE = re.compile(r"br-[0-9a-f]{9}")

Claim = list[Any]
"""Network id, ofport and bridge; and as the fourth what speaks against it, if anything does."""


def judge(
    unit: Unit, host_id: str, providers: Sequence[str], claims: Iterable[Sequence[Any]]
) -> list[Claim]:
    """Return *claims* of a host with what speaks against them."""
    asked = [list(claim[:3]) for claim in claims]
    if not asked:
        return []
    provider_of = {row.id: row.provider for row in EXTERNAL_NETWORKS.all(unit.connection)}
    taken = _bridges(HOSTS.all(unit.connection), host_id, provider_of)
    found: list[Claim] = []
    for network_id, ofport, bridge in asked:
        claim: Claim = [network_id, ofport, bridge]
        provider = provider_of.get(network_id)
        if provider is not None and (objection := _objection(provider, bridge, providers, taken)):
            claim.append(objection)
        elif provider is not None and _is_named(bridge):
            taken.setdefault(bridge, (provider, "this host"))
        found.append(claim)
    return found


def _bridges(
    rows: Iterable[HostRow], but: str, provider_of: dict[str, str]
) -> dict[str, tuple[str, str]]:
    """Return which provider each bridge leads to, and on which host, as is believed."""
    found: dict[str, tuple[str, str]] = {}
    for row in rows:
        for network_id, _, bridge in accepted(row.outside) if row.id != but else ():
            if _is_named(bridge) and network_id in provider_of:
                found.setdefault(bridge, (provider_of[network_id], row.id))
    return found


def _is_named(bridge: str) -> bool:
    """Tell whether somebody gave the bridge its name, and not an agent."""
    return bool(bridge) and not _MADE.fullmatch(bridge)


def _objection(
    provider: str, bridge: str, providers: Sequence[str], taken: dict[str, tuple[str, str]]
) -> str | None:
    if provider not in providers:
        return f"it reaches {provider}, which its settings do not name: not believed"
    other, where = taken.get(bridge, (provider, ""))
    if other == provider:
        return None
    return f"bridge {bridge} leads to {provider} here and to {other} on {where}: not believed"


def columns(unit: Unit, row: HostRow, claims: Sequence[Claim]) -> dict[str, Any]:
    """Return the columns that say what a host reaches, and of what network that has changed now."""
    before, after = _ways(row.outside), _ways(claims)
    moved = {id for id in before.keys() | after.keys() if before.get(id) != after.get(id)}
    revisions = {**row.reach_revisions, **dict.fromkeys(moved, unit.revision)}
    present = {one.id for one in EXTERNAL_NETWORKS.all(unit.connection)}
    kept = {id: revision for id, revision in revisions.items() if id in present}
    return {"outside": claims, "reach_revisions": kept}


def _ways(claims: Sequence[Claim]) -> dict[str, int]:
    """Return through which port each network is reached, as is believed."""
    return {network_id: ofport for network_id, ofport, _ in accepted(claims)}


def objections(row: HostRow) -> list[str]:
    """Return what speaks against claims of a host."""
    return [claim[3] for claim in row.outside if len(claim) > 3]


def tell_new(unit: Unit, host_id: str, before: Sequence[Claim], after: Sequence[Claim]) -> None:
    """Put what speaks against a host's claims, and did not before, into the event stream."""
    known = {claim[3] for claim in before if len(claim) > 3}
    for claim in after:
        if len(claim) > 3 and claim[3] not in known:
            unit.tell("host", host_id, "", "warning", claim[3])


def reconsider(unit: Unit, but: str) -> list[str]:
    """Judge claims anew that something spoke against; return the hosts that are believed now.

    Args:
        unit: the transaction, in which something changed that may have spoken against them.
        but: the host that changed.
    """
    believed: list[str] = []
    for row in HOSTS.all(unit.connection):
        if row.id == but or not objections(row):
            continue
        judged = judge(unit, row.id, row.providers, row.outside)
        if judged == row.outside:
            continue
        HOSTS.update(unit.connection, row.id, {**columns(unit, row, judged), **changed(unit)})
        unit.tell("host", row.id, "", "changed", "outside")
        believed.append(row.id)
    return believed
