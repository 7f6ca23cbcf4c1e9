"""The saved flow program of a host: which of its flows may be put back as the host is now."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.decide import marks
from agent.decide.meters import SavedMeter

Wiring = Mapping[int, tuple[str, str]]
"""ofport → (interface, iface-id; empty for the tunnel)."""

_VERSION = 1
_FLOW = re.compile(rf" *cookie=0x{marks.COOKIE_OWNER:x}[0-9a-f]{{12}}, ")
_PORT = re.compile(r"in_port=(\w+)|output:(\w++)(?!\[)|(?:members|slaves):([\d,]+)")
"""Where a flow names ofports; an output to a field (``output:NXM_OF_IN_PORT[]``) names none."""
_CATCH_ALL = re.compile(r" *cookie=0x[0-9a-f]+, (?:table=0, )?priority=0 actions=")
_LISTED = re.compile(r"^ (\d+)\(([^)]+)\): addr:", re.MULTILINE)

GUARD = (
    "add table=0,priority=0,in_port=LOCAL,check_overlap,actions=drop\n"
    "delete_strict table=0,priority=0,in_port=LOCAL\n"
)
"""First messages of a bundle that must do nothing where a program is already.

Every program has a catch-all flow of priority 0 in table 0. Where there is one, the first message
overlaps with it, is refused, and the whole bundle with it; else the second takes it back.
"""


@dataclass(frozen=True, slots=True)
class Header:
    """What a saved program is of.

    Attributes:
        host_id: the host.
        revision: at which its flows had changed last.
        wiring: its interfaces when it was saved.
        meters: its meters then.
    """

    host_id: str
    revision: int
    wiring: Wiring
    meters: tuple[SavedMeter, ...] = ()


@dataclass(frozen=True, slots=True)
class PutBack:
    """What to put back: lines and their meters; how many flows of which ofports are left out."""

    lines: list[str]
    left_out: int
    changed: frozenset[int]
    meters: tuple[SavedMeter, ...] = ()


def write_header(header: Header) -> str:
    """Return the first line of the file: a comment to ovs-ofctl."""
    ports = {str(ofport): list(names) for ofport, names in sorted(header.wiring.items())}
    fields = {"version": _VERSION, "host_id": header.host_id, "revision": header.revision}
    whole = {**fields, "ports": ports, "meters": header.meters}
    return f"# {json.dumps(whole)}\n"


def read_header(line: str) -> Header | None:
    """Return what the first line of a file says; None when it cannot be read."""
    try:
        found = json.loads(line.removeprefix("# "))
        if found["version"] != _VERSION:
            return None
        wiring = {int(at): (str(names[0]), str(names[1])) for at, names in found["ports"].items()}
        meters = tuple(
            SavedMeter(int(one), str(unit), int(rate), int(burst))
            for one, unit, rate, burst in found.get("meters", ())
        )
        return Header(str(found["host_id"]), int(found["revision"]), wiring, meters)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return None


def listed(text: str) -> dict[int, str]:
    """Return ofport → interface as ``ovs-ofctl dump-ports-desc`` lists them."""
    return {int(ofport): name for ofport, name in _LISTED.findall(text)}


def wiring(names: Mapping[int, str], iface_ids: Mapping[str, str]) -> dict[int, tuple[str, str]]:
    """Return the wiring of a switch whose ofports are *names*, with the interfaces' iface-ids."""
    return {ofport: (name, iface_ids.get(name, "")) for ofport, name in names.items()}


def is_complete(lines: Iterable[str]) -> bool:
    """Tell whether there is the flow that the guard relies on."""
    return any(_CATCH_ALL.match(line) for line in lines)


def put_back(lines: Iterable[str], saved: Wiring, now: Wiring) -> PutBack:
    """Return the flows that are right on this host as it is wired now.

    A flow that names an ofport is right only if the same interface with the same iface-id is
    there. Nothing but flows with our mark is taken from the file.
    """
    right = {ofport for ofport, names in saved.items() if now.get(ofport) == names}
    kept: list[str] = []
    changed: set[int] = set()
    left_out = 0
    for line in lines:
        if not _FLOW.match(line):
            continue
        wrong = {port for port in _ports(line) if port not in right}
        if wrong:
            left_out += 1
            changed |= wrong
        else:
            kept.append(line)
    return PutBack(kept, left_out, frozenset(changed))


def _ports(line: str) -> list[int]:
    """Return the ofports that a flow names; -1 for one that is not a number."""
    names = [name for found in _PORT.findall(line) for part in found for name in part.split(",")]
    return [int(name) if name.isdecimal() else -1 for name in names if name]
