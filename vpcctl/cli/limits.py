"""Options for limits of bandwidth and packet rate."""

import re
from dataclasses import dataclass
from typing import Annotated

import typer

from vpcctl.cli.errors import CliError
from vpcctl.cli.render import Json

_FACTORS = {"": 1, "k": 1, "m": 1_000, "g": 1_000_000}
_RATE = re.compile(r"([1-9][0-9]{0,9})([kmgKMG]?)")


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """Limits of what passes, seen from the workload: all of them are set at once."""

    ingress: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="Bandwidth towards the workload: 500k, 100M, 1G bit/s."),
    ] = None
    egress: Annotated[
        str | None, typer.Option(metavar="RATE", help="Bandwidth from the workload.")
    ] = None
    ingress_pps: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Packets a second towards the workload.")
    ] = None
    egress_pps: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Packets a second from the workload.")
    ] = None

    def limits(self) -> Json:
        """Return the field that the options set, empty when they set none.

        Raises:
            CliError: a rate is not of the form.
        """
        values = {
            "ingress_kbps": _kbps("ingress", self.ingress),
            "egress_kbps": _kbps("egress", self.egress),
            "ingress_pps": self.ingress_pps,
            "egress_pps": self.egress_pps,
        }
        return {"limits": values} if any(one is not None for one in values.values()) else {}


@dataclass(frozen=True, slots=True)
class NewLimits(LimitOptions):
    """New limits, in place of those that there are."""

    no_limits: Annotated[bool, typer.Option("--no-limits", help="No limits at all.")] = False

    def changed(self) -> Json:
        """Return the field that the options set, empty when they set none."""
        return self.limits() or ({"limits": None} if self.no_limits else {})


def _kbps(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    found = _RATE.fullmatch(text)
    if found is None:
        raise CliError(f"--{name}: {text!r} is no rate; accepted: 500k, 100M, 1G (bit/s)")
    return int(found[1]) * _FACTORS[found[2].lower()]
