"""What the process knows: guests by port key, zones, and what ports' owners have said of them."""

import json
import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.decide.names.cache import Cache
from agent.decide.names.guest import Guest, guest_of
from agent.decide.names.metadata import Data, data_of
from agent.decide.names.zone import Zone
from agent.names.zone_file import ZoneFile

log = logging.getLogger(__name__)


class Library:
    """Everything that answers are made of; changed as a whole when the agent says so.

    Attributes:
        forwarders: who is asked what is no zone's, in order.
        cache: answers that have been given.
        counts: what was answered or not, by outcome, since they were taken last.
    """

    def __init__(self) -> None:
        self.forwarders: tuple[str, ...] = ()
        self.cache = Cache()
        self.counts: Counter[str] = Counter()
        self._guests: dict[int, Guest] = {}
        self._zones: dict[str, ZoneFile] = {}
        self._data: dict[str, tuple[int, Data | None]] = {}

    def guest(self, key: int) -> Guest | None:
        """Return the guest whose port has a key."""
        return self._guests.get(key)

    def zone(self, guest: Guest) -> Zone | None:
        """Return the zone of the guest's VPC; None when it has none."""
        held = self._zones.get(guest.vpc_id)
        return None if held is None else held.zone

    def data(self, guest: Guest) -> Data | None:
        """Return what the guest's owner has said of it; None: something, that is not here yet."""
        return self._data.get(guest.port_id, (0, Data()))[1]

    async def load(self, said: Mapping[str, Any]) -> None:
        """Take what the agent says: see ``keeper``. Questions are answered in between."""
        self.forwarders = tuple(said["forwarders"])
        directory = Path(said["directory"])
        guests = [guest_of(one) for one in said["guests"]]
        await self._load_zones(directory, said["zones"])
        self._load_data(directory, said["ports"])
        self._guests = {guest.key: guest for guest in guests}

    async def _load_zones(self, directory: Path, wanted: Mapping[str, int]) -> None:
        for vpc_id in self._zones.keys() - wanted.keys():
            del self._zones[vpc_id]
            self.cache.forget(vpc_id)
        for vpc_id, revision in wanted.items():
            held = self._zones.setdefault(vpc_id, ZoneFile(directory / f"{vpc_id}.zone"))
            if not held.is_at(revision):
                await held.follow(revision)
                self.cache.forget(vpc_id)

    def _load_data(self, directory: Path, wanted: Mapping[str, int]) -> None:
        for port_id in self._data.keys() - wanted.keys():
            del self._data[port_id]
        for port_id, revision in wanted.items():
            if port_id not in self._data or self._data[port_id][0] != revision:
                document = _read(directory / f"{port_id}.json") if revision else None
                self._data[port_id] = (revision, data_of(document) if revision else None)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read: %s", path, error)
        return None
