"""Who has a port: the newest claim that its attachment allows. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vpcctl.model.gateway import MAX_PORT_OFPORT

ClaimState = Literal["won", "lost", "refused", "waiting"]


@dataclass(frozen=True, slots=True)
class Claim:
    """One host's claim to a port.

    Attributes:
        host_id: who claims.
        revision: revision at which this claim first appeared.
        ofport: where, None while OVS has given no number.
    """

    host_id: str
    revision: int
    ofport: int | None


def allowed(claim: Claim, only_host: str | None) -> bool:
    """Tell whether the port's attachment lets this host have it."""
    return only_host is None or claim.host_id == only_host


def is_too_high(claim: Claim) -> bool:
    """Tell whether a port cannot be where this is: it would share its conntrack zone.

    Agents say so themselves; older ones did not.
    """
    return claim.ofport is not None and claim.ofport > MAX_PORT_OFPORT


def elect(claims: Sequence[Claim], only_host: str | None) -> Claim | None:
    """Return the claim that has the port, or None.

    It depends on nothing but the claims there are now, so repeating a report changes nothing and
    two hosts do not take the port from each other in turns.
    """
    able = [
        claim
        for claim in claims
        if claim.ofport is not None and not is_too_high(claim) and allowed(claim, only_host)
    ]
    return max(able, key=lambda claim: (claim.revision, claim.host_id), default=None)


def judge(claim: Claim, winner: Claim | None, only_host: str | None) -> ClaimState:
    """Return how *claim* fares."""
    if is_too_high(claim) or not allowed(claim, only_host):
        return "refused"
    if claim.ofport is None:
        return "waiting"
    return "won" if winner is not None and claim.host_id == winner.host_id else "lost"


def dispute(claims: Sequence[Claim], only_host: str | None) -> str | None:
    """Return a sentence about a port that more than its owner claims, None when there is none."""
    winner = elect(claims, only_host)
    states = {claim.host_id: judge(claim, winner, only_host) for claim in claims}
    lost = sorted(host for host, state in states.items() if state == "lost")
    too_high = sorted(claim.host_id for claim in claims if is_too_high(claim))
    refused = sorted(
        host for host, state in states.items() if state == "refused" and host not in too_high
    )
    parts = []
    if lost and winner is not None:
        parts.append(f"{winner.host_id} has it, {', '.join(lost)} claims it, too")
    if refused:
        parts.append(f"attached to {only_host}, but claimed by {', '.join(refused)}")
    if too_high:
        parts.append(f"the ofport on {', '.join(too_high)} is above {MAX_PORT_OFPORT}")
    return "; ".join(parts) or None
