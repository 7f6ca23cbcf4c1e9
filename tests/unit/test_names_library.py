"""Long zones: taken in while guests are answered; a damaged one leaves what there was."""

import asyncio
import json
from pathlib import Path
from typing import Any

from agent.decide.names.zone import MAX_SHARED, Zone
from agent.names.library import Library
from tests.support.names_process import guest, zone

PORTS = [(f"n{at}", [f"10.{at >> 8}.{at & 255}.1"]) for at in range(4_000)]
RECORDS = [
    {"name": f"r{at}.one.test", "type": "TXT", "ttl": 5, "values": [f'"{at}"']} for at in range(45)
]


def order(directory: Path, **zones: int) -> dict[str, Any]:
    named = {f"vpc-{tenant}": revision for tenant, revision in zones.items()}
    more = {"forwarders": [], "ports": {}, "directory": str(directory)}
    return {"guests": [guest(1)], "zones": named, **more}


async def loaded(library: Library, said: dict[str, Any]) -> int:
    """Have a library take an order; return how often others had a turn meanwhile."""
    turns = 0
    loading = asyncio.create_task(library.load(said))
    while not loading.done():
        turns += 1
        await asyncio.sleep(0)
    await loading
    return turns


def held(library: Library) -> Zone | None:
    known = library.guest(1)
    assert known is not None
    return library.zone(known)


def test_a_long_zone_is_taken_in_while_others_have_their_turns(tmp_path: Path) -> None:
    library = Library()
    path = tmp_path / "vpc-one.zone"
    path.write_text(json.dumps(zone("one", *PORTS, records=RECORDS)) + "\n")
    assert asyncio.run(loaded(library, order(tmp_path, one=1))) > 20
    found = held(library)
    assert found is not None
    assert found.find("n3999.one.test", "A").sets[0].values == ("10.15.159.1",)
    assert found.find("r44.one.test", "TXT").exists
    path.write_text("{\n")
    asyncio.run(loaded(library, order(tmp_path, one=2)))
    assert held(library) is found
    asyncio.run(loaded(library, order(tmp_path)))
    assert held(library) is None


def test_a_name_that_many_ports_share_has_so_many_addresses() -> None:
    many = Zone(zone("one", *(("web", [f"10.0.{at}.1"]) for at in range(200))))
    (found,) = many.find("web.one.test", "A").sets
    assert found.values == tuple(f"10.0.{at}.1" for at in range(MAX_SHARED))
    many.take({"port-0": ("web", ["10.0.0.7"])})  # a port that changes keeps its place
    assert many.find("web.one.test", "A").sets[0].values[:2] == ("10.0.0.7", "10.0.1.1")
    many.take({f"six-{at}": ("two", [f"fd00::{at:x}"]) for at in range(MAX_SHARED)})
    many.take({"four": ("two", ["10.1.0.1"])})
    assert many.find("two.one.test", "A").sets[0].values == ("10.1.0.1",)
    assert len(many.find("two.one.test", "AAAA").sets[0].values) == MAX_SHARED
    reverse = many.find("1.199.0.10.in-addr.arpa", "PTR").sets
    assert reverse[0].values == ("web.one.test.",)
