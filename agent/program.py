"""Saves the host's flow program, and puts it back when ovs-vswitchd has lost it.

The controller decides about flows. Only when ovs-vswitchd has started without any of them and no
controller connects within a second, the last program that was known to be right takes their place.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from agent.decide import meters
from agent.decide import program as decide
from agent.host import Host
from agent.jsonrpc import RpcError
from agent.ofctl import OfctlError, Overlap, Switch
from agent.ovs_process import controller_connected
from agent.settings import Settings

log = logging.getLogger(__name__)

_SETTLE_S = 3.0
"""A program is saved when it has not changed for this long,"""
_LONGEST_S = 60.0
"""or when it has kept changing for this long,"""
_REST = 30.0
"""and never within this many times the duration of the last time."""
_RETRY_S = 10.0
_LIMIT = 256 * 1024 * 1024
_HANDOVER_S = 1.0
"""So long a controller has to connect after ovs-vswitchd has started,"""
_RESYNC_S = 30.0
"""and one that is connected has so long to bring flows."""
_LOOK_S = 0.1
_TRIES = 10


@dataclass(slots=True)
class _Change:
    """A program that is to be saved: its revision, and loop times."""

    revision: int
    first: float
    last: float


class Program:
    """The saved program of one host, in one file: a line about it, then the flows as text.

    Args:
        settings: with the state directory, the bridge and the paths of Open vSwitch.
        host: knows the interfaces.
        restored: told when a program was put back.
    """

    def __init__(
        self, settings: Settings, host: Host, restored: Callable[[], Awaitable[None]]
    ) -> None:
        self._settings = settings
        self._restored = restored
        self._host = host
        self._path = settings.state_dir / "program"
        self._switch = Switch(settings.ovs_rundir / f"{settings.bridge}.mgmt")
        self._change: _Change | None = None
        self._changed = asyncio.Event()
        self._saved: int | None = None
        self._rest_until = 0.0
        self._putting_back: asyncio.Task[None] | None = None

    # --- saving ---------------------------------------------------------------------------------

    def realised(self, revision: int | None) -> None:
        """Hear that the host's flows are right, and at which revision they changed last.

        None: they are not right now; nothing is saved until they are.
        """
        now = asyncio.get_running_loop().time()
        if revision is None or revision == self._saved:
            self._change = None
        elif self._change is None:
            self._change = _Change(revision, now, now)
            self._changed.set()
        elif self._change.revision != revision:
            self._change.revision, self._change.last = revision, now

    async def run(self) -> None:
        """Save whenever there is something new, for ever."""
        loop = asyncio.get_running_loop()
        header = await loop.run_in_executor(None, _header_of, self._path)
        if header is not None and header.host_id == self._settings.host_id:
            self._saved = header.revision
        while True:
            await self._changed.wait()
            change = self._change
            if change is None:
                self._changed.clear()
                continue
            due = min(change.last + _SETTLE_S, change.first + _LONGEST_S)
            due = max(due, self._rest_until)
            if loop.time() < due:
                await asyncio.sleep(due - loop.time())
                continue
            await self._save(change)

    async def _save(self, change: _Change) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        revision = change.revision
        try:
            await self._write(revision)
        except (OfctlError, OSError) as error:
            log.warning("the flow program cannot be saved now: %s", error)
            self._rest_until = loop.time() + _RETRY_S
            return
        took = loop.time() - started
        self._rest_until = loop.time() + _REST * took
        self._saved = revision
        log.debug("flow program of revision %d saved in %.3f s", revision, took)
        if self._change is change and change.revision == revision:
            self._change = None
        elif self._change is change:
            change.first = loop.time()

    async def _write(self, revision: int) -> None:
        """Write the program beside the old one, and put it in its place when it is whole."""
        loop = asyncio.get_running_loop()
        ports = await self._switch.ports()
        wiring = decide.wiring(ports, self._iface_ids())
        saved = await self._switch.list_meters()
        header = decide.Header(self._settings.host_id, revision, wiring, saved)
        fresh = self._path.with_name("program.new")
        stream = await loop.run_in_executor(None, _open_new, fresh, decide.write_header(header))
        with stream:
            await self._switch.dump(stream, _LIMIT)
            if decide.wiring(await self._switch.ports(), self._iface_ids()) != wiring:
                raise OfctlError("interfaces changed meanwhile")
            await loop.run_in_executor(None, os.fsync, stream.fileno())
        await loop.run_in_executor(None, _replace, fresh, self._path)

    def _iface_ids(self) -> dict[str, str]:
        rows = self._host.rows.values()
        return {row.name: row.external_ids.get("iface-id", "") for row in rows}

    # --- putting back ---------------------------------------------------------------------------

    def vswitchd_started(self) -> None:
        """Look after the flows of an ovs-vswitchd that runs now; returns at once."""
        self.vswitchd_ended()
        self._putting_back = asyncio.get_running_loop().create_task(self._look_after())

    def vswitchd_ended(self) -> None:
        """Stop looking after the flows of the one that ran."""
        if self._putting_back is not None:
            self._putting_back.cancel()
            self._putting_back = None

    async def _look_after(self) -> None:
        for _ in range(_TRIES):
            if await self._controller_is_there():
                return
            try:
                await self._put_back()
            except Overlap:
                log.info("the controller was faster: its flows stay")
            except (OfctlError, OSError) as error:
                log.info("the flow program cannot be put back now: %s", error)
                continue
            return

    async def _controller_is_there(self) -> bool:
        """Give the controller its time; tell whether it is there at the end of it."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        while True:
            connected = await self._connected()
            waited = loop.time() - started
            if waited > (_RESYNC_S if connected else _HANDOVER_S):
                return connected
            await asyncio.sleep(_LOOK_S)

    async def _connected(self) -> bool:
        try:
            return await controller_connected(self._settings.ovsdb, self._settings.host_id)
        except RpcError as error:
            log.debug("controllers: %s", error)
            return False

    async def _put_back(self) -> None:
        if not self._path.exists() or await self._switch.count():
            return
        now = decide.wiring(await self._switch.ports(), self._iface_ids())
        loop = asyncio.get_running_loop()
        host_id = self._settings.host_id
        back = await loop.run_in_executor(None, _to_put_back, self._path, host_id, now)
        if back is None:
            log.warning("the flow program in %s is not whole, or another host's", self._path)
            return
        missing = meters.named(back.lines) - {meter.id for meter in back.meters}
        missing |= await self._switch.put_meters(back.meters)
        lines = meters.without(back.lines, missing)
        await self._switch.put((decide.GUARD + "".join(lines)).encode())
        await self._restored()
        log.warning(
            "ovs-vswitchd has lost its flows and no controller is connected:"
            " %d flows put back, %d left out because of ofports that changed: %s",
            len(back.lines),
            back.left_out,
            sorted(back.changed) or "none",
        )


def _open_new(path: Path, header: str) -> IO[bytes]:
    """Open a new file for its owner alone; what an earlier one left half done goes."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    stream = os.fdopen(fd, "wb", buffering=0)
    stream.write(header.encode())
    return stream


def _replace(fresh: Path, path: Path) -> None:
    with fresh.open() as stream:
        if not decide.is_complete(stream):
            raise OfctlError("it is not whole")
    fresh.replace(path)


def _header_of(path: Path) -> decide.Header | None:
    try:
        with path.open() as stream:
            return decide.read_header(stream.readline())
    except (OSError, UnicodeDecodeError):
        return None


def _to_put_back(
    path: Path, host_id: str, now: Mapping[int, tuple[str, str]]
) -> decide.PutBack | None:
    """Return what is to be put back; None when the file is of no use."""
    with path.open(errors="replace") as stream:
        header = decide.read_header(stream.readline())
        if header is None or header.host_id != host_id:
            return None
        back = decide.put_back(stream, header.wiring, now)
    saved = {meter.id: meter for meter in header.meters}
    if not decide.is_complete(back.lines):
        return None
    return replace(back, meters=tuple(meters.restored(saved, back.lines)))
