"""Keeps on disk what guests are told of names and metadata, as new as the controller's."""

import asyncio
import logging
import random
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from agent.client import POLL_S, Client, ClientError
from agent.decide.backoff import Backoff
from agent.names.zone_record import ZoneRecord
from agent.statedir import write_atomically
from agent.wire.base import Unreadable
from agent.wire.state import Guest, GuestSubnet, HostState
from agent.wire.zones import PortMetadata, unsealed

log = logging.getLogger(__name__)

_PAUSE_S = 0.2
"""Between two looks: what changes in a burst is fetched once."""


class Keeper:
    """The documents of this host's guests.

    Args:
        client: of the API.
        directory: where they are kept.
        tell: given what the process that answers has to know, whenever that changes.
    """

    def __init__(
        self, client: Client, directory: Path, tell: Callable[[dict[str, Any]], None]
    ) -> None:
        self._client = client
        self._directory = directory
        self._tell = tell
        self._state: HostState | None = None
        self._records: dict[str, ZoneRecord] = {}
        self._held: dict[str, int] = {}
        self._asked: dict[str, int] = {}  # revision by port that metadata were fetched for
        self._absent: set[str] = set()  # not to be had, until the next state
        self._followed: set[str] = set()  # VPCs whose zone was had since the last failure
        self._asking: asyncio.Task[dict[str, int]] | None = None
        self._wanted = asyncio.Event()

    def want(self, state: HostState) -> None:
        """Take in a new host state."""
        before = self._state
        self._state = state
        # What could not be had may be had now, even if all is as it was: a guest that left and
        # came back in between.
        if before is not None and _same(before, state) and not self._absent:
            return
        self._absent.clear()
        self._wanted.set()
        if self._asking is not None:
            self._asking.cancel()

    async def run(self) -> None:
        """Work for ever; what is on disk is told before the controller is asked."""
        await self._wanted.wait()
        self._held = await asyncio.to_thread(_load, self._directory)
        self._records = await asyncio.to_thread(_load_zones, self._directory)
        self._publish()
        failures = 0
        while True:
            # A state that came while this loop paused is told, too: nothing else would say so.
            news = self._wanted.is_set()
            self._wanted.clear()
            try:
                changed = await self._fetch(0.0 if news else POLL_S)
            except (ClientError, OSError) as error:
                failures += 1
                if isinstance(error, ClientError):
                    self._followed.clear()
                log.log(logging.WARNING if failures == 1 else logging.DEBUG, "names: %s", error)
                await asyncio.sleep(Backoff(limit=5.0).delay(failures, random.random()))  # noqa: S311
                changed = True
            else:
                failures = 0
            if changed or news or self._wanted.is_set():
                self._publish()
            await asyncio.sleep(_PAUSE_S)

    def _zones(self) -> dict[str, int]:
        """Return the VPCs of the guests here with the revision that is held; 0: none."""
        subnets = self._state.guest_subnets if self._state is not None else ()
        wanted = sorted({one.vpc_id for one in subnets})
        return {id: self._records[id].revision if id in self._records else 0 for id in wanted}

    def _known(self) -> dict[str, int]:
        """Return the VPCs whose zones are to be had, with the revision to follow from; 0: none.

        None after any failure: the controller may have been restored from an older copy, and even
        the revision that is held may stand for other names than it did.
        """
        zones = self._zones().items()
        return {
            id: held if id in self._followed else 0 for id, held in zones if id not in self._absent
        }

    def _ports(self) -> dict[str, int]:
        """Return the guests of which their owners have said something, with its revision."""
        guests = self._state.guests if self._state is not None else ()
        return {one.port_id: one.metadata_revision for one in guests if one.metadata_revision}

    async def _fetch(self, wait_s: float) -> bool:
        """Fetch what is newer than what is held, waiting for it; tell whether anything was.

        Args:
            wait_s: seconds to wait at most.

        Raises:
            ClientError: the controller does not answer.
            OSError: a document cannot be written.
        """
        await self._forget()  # first: it may make the room that what is new needs
        changed, failure = False, None
        for port_id, revision in self._ports().items():
            # A lower one, too, is news: that of a controller restored from an older copy.
            known = (self._held.get(port_id, 0), self._asked.get(port_id, 0))
            if revision not in known and port_id not in self._absent:
                changed |= await self._keep_metadata(port_id, revision)
        if changed:
            return True
        for vpc_id in await self._ask(self._known(), wait_s):
            try:
                changed |= await self._keep_zone(vpc_id)
            except OSError as error:  # others may be shorter
                failure = error
        if failure is not None:
            raise failure
        return changed

    async def _ask(self, known: dict[str, int], wait_s: float) -> dict[str, int]:
        """Wait until a zone is newer than known; nothing when a new state comes in between."""
        if not known and wait_s:
            await self._wanted.wait()
        if not known:
            return {}
        if self._wanted.is_set():
            return {}  # a new state has come: what it needs is fetched first
        self._asking = asyncio.create_task(self._client.zones(known, wait_s))
        try:
            await asyncio.wait([self._asking])
            return {} if self._asking.cancelled() else self._asking.result()
        finally:
            self._asking.cancel()
            self._asking = None

    async def _keep_metadata(self, id: str, revision: int) -> bool:
        """Fetch a port's metadata and write it down; tell whether the controller has any.

        It may be newer than the *revision* that the host state speaks of.
        """
        document = await self._client.metadata(id)
        if document is None:
            self._absent.add(id)
            return False
        await asyncio.to_thread(_write, self._directory, id, document.text.decode())
        self._held[id], self._asked[id] = document.said.revision, revision
        return True

    async def _keep_zone(self, id: str) -> bool:
        """Fetch a zone or what is new of it, and write that down; tell whether there is any.

        The whole, where none was had since the last failure: see :meth:`_known`.
        """
        record = self._records.get(id) or ZoneRecord(self._directory / f"{id}.zone")
        document = await self._client.zone(id, record.since if id in self._followed else 0)
        if document is None:
            self._absent.add(id)
            return False
        self._records[id] = record
        await asyncio.to_thread(record.keep, document)
        self._followed.add(id)
        return True

    async def _forget(self) -> None:
        """Remove what no guest of this host needs any more."""
        for id in self._held.keys() - self._ports().keys():
            await asyncio.to_thread((self._directory / f"{id}.json").unlink, missing_ok=True)
            del self._held[id]
            self._asked.pop(id, None)
        for id in self._records.keys() - self._zones().keys():
            await asyncio.to_thread(self._records[id].drop)
            del self._records[id]
            self._followed.discard(id)

    def _publish(self) -> None:
        if self._state is None:
            return
        subnets = {one.subnet_id: one for one in self._state.guest_subnets}
        known = [one for one in self._state.guests if one.subnet_id in subnets]
        place = self._state.availability_zone
        self._tell(
            {
                "guests": [_guest(one, subnets[one.subnet_id], place) for one in known],
                "forwarders": list(self._state.settings.dns_forwarders),
                "directory": str(self._directory),
                "zones": {id: revision for id, revision in self._zones().items() if revision},
                "ports": {
                    id: self._held.get(id, 0) for id in self._ports() if id not in self._absent
                },
            }
        )


def _same(one: HostState, other: HostState) -> bool:
    return (one.guests, one.guest_subnets, one.settings, one.availability_zone) == (
        other.guests,
        other.guest_subnets,
        other.settings,
        other.availability_zone,
    )


def _guest(guest: Guest, subnet: GuestSubnet, availability_zone: str | None) -> dict[str, Any]:
    options = guest.options if guest.options is not None else subnet.options
    return {
        "key": guest.key,
        "port_id": guest.port_id,
        "vpc_id": subnet.vpc_id,
        "tenant": subnet.tenant_id or subnet.vpc_id,
        "subnet_id": subnet.subnet_id,
        "mac": guest.mac,
        "interfaces": [_interface(address, subnet) for address in guest.addresses],
        "ipv6_mode": subnet.ipv6_mode,
        "mtu": subnet.mtu,
        "host_name": guest.host_name,
        "domain": options.domain or "",
        "resolvers": list(options.dns_servers),
        "public": guest.public_addresses,
        "tags": guest.tags,
        "availability_zone": availability_zone or "",
    }


def _interface(address: str, subnet: GuestSubnet) -> str:
    block = subnet.ipv6_cidr if ":" in address else subnet.cidr
    return f"{address}/{ip_network(block).prefixlen if block else 128}"


def _write(directory: Path, id: str, text: str) -> None:
    """Write a document, as a whole or not at all."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(directory / f"{id}.json", text)


def _load(directory: Path) -> dict[str, int]:
    """Return the revisions of ports' metadata on disk; what cannot be read is fetched again."""
    found: dict[str, int] = {}
    for path in sorted(directory.glob("port-*.json")):
        try:
            found[path.stem] = unsealed(PortMetadata, path.read_bytes()).said.revision
        except (OSError, Unreadable) as error:
            log.warning("%s cannot be read: %s", path, type(error).__name__)
    return found


def _load_zones(directory: Path) -> dict[str, ZoneRecord]:
    found = {path.stem: ZoneRecord(path) for path in sorted(directory.glob("*.zone"))}
    for record in found.values():
        record.load()
    return found
