"""Limits of bandwidth and packet rate: what is accepted, and how rows keep them."""

from typing import Any

from vpcctl.model.problems import Invalid
from vpcctl.services.views import UNSET, LimitValues, Unset
from vpcctl.store import keys
from vpcctl.store.outside_models import LIMITED
from vpcctl.store.tables import EipRow, PortRow
from vpcctl.store.units import Needs, Unit

MOST = 2**32 - 1
NONE: dict[str, Any] = {"limit_number": None, **dict.fromkeys(LIMITED)}


def parse(values: LimitValues | None) -> dict[str, int | None]:
    """Return the columns of limits without their number; all None where there are none.

    Raises:
        Invalid: a limit is out of range.
    """
    found: dict[str, int | None] = {}
    for name in LIMITED:
        value: int | None = None if values is None else getattr(values, name)
        if value is not None and not 1 <= value <= MOST:
            raise Invalid(
                f"{value} is out of range.",
                field=f"limits.{name}",
                accepted=f"1 to {MOST}, or null for no limit",
            )
        found[name] = value
    return found


def needs(values: LimitValues | Unset | None) -> Needs:
    """Return the numbers that a unit needs to write these limits."""
    return {"limit_number": 1} if values is not UNSET and values is not None else {}


def columns(unit: Unit, parsed: dict[str, int | None], present: int | None) -> dict[str, Any]:
    """Return the columns of limits with their number: *present* if there is one, or a new one."""
    if all(value is None for value in parsed.values()):
        return NONE
    number = keys.fit(unit, "limit_number") if present is None else present
    return {"limit_number": number, **parsed}


def view(row: EipRow | PortRow) -> LimitValues | None:
    """Return the limits of a row; None when it has none."""
    if row.limit_number is None:
        return None
    return LimitValues(row.ingress_kbps, row.egress_kbps, row.ingress_pps, row.egress_pps)
