"""The running ovs-vswitchd: its control socket, its version and its end."""

import os
import select
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent import jsonrpc
from agent.decide import marks
from agent.decide.nat_zones import Ends
from agent.wire.report import LinkCounters

_DATAPATHS = {"netdev": "netdev@ovs-netdev", "system": "system@ovs-system"}
"""Open vSwitch has one datapath of a type, whatever bridges there are."""
REST = 10
"""So many times as long as a search through zones took nothing is searched: ovs-vswitchd does
little else while it lists a zone, and walks over the connections of all zones for it."""
_FLUSHES = 8
_MOST_FRAGMENTS = "5000"
"""Of each family, all ports together (``IPF_NFRAG_UPPER_BOUND``); 1,000 unless it is told."""
_CALL_S, _LISTING_S = 2.0, 20.0
_COUNTERS = LinkCounters.__struct_fields__


class Vswitchd:
    """ovs-vswitchd as its run directory shows it.

    Args:
        rundir: directory with ``ovs-vswitchd.pid`` and ``ovs-vswitchd.<pid>.ctl``.
    """

    def __init__(self, rundir: Path) -> None:
        self._rundir = rundir

    def pid(self) -> int | None:
        """Return the process id that its pid file names, or None."""
        try:
            return int((self._rundir / "ovs-vswitchd.pid").read_text())
        except (OSError, ValueError):
            return None

    def watch(self) -> tuple[int, int] | None:
        """Return its process id and a pidfd that becomes readable when it ends.

        None when it does not run; one that has ended but that nobody has waited for counts so.
        """
        pid = self.pid()
        if pid is None:
            return None
        try:
            fd = os.pidfd_open(pid)
        except (OSError, ValueError):
            return None
        if select.select([fd], [], [], 0)[0]:
            os.close(fd)
            return None
        return pid, fd

    async def appctl(self, command: str, *arguments: str, timeout: float = _CALL_S) -> str:
        """Carry out a control command, as ovs-appctl(8) does.

        Raises:
            jsonrpc.RpcError: it does not run, does not answer within *timeout* seconds, or refused.
        """
        call = jsonrpc.call(self._socket(), command, list(arguments), timeout=timeout)
        return str(await call)

    def _socket(self) -> Path:
        pid = self.pid()
        if pid is None:
            raise jsonrpc.RpcError("ovs-vswitchd does not run")
        return self._rundir / f"ovs-vswitchd.{pid}.ctl"

    async def empty_zone(self, datapath_type: str, zone: int) -> None:
        """Delete all conntrack entries of a zone; returns when there is none any more.

        The same command reaches the kernel's conntrack and that of the userspace datapath, which
        netlink does not see. The latter may miss some entries (before Open vSwitch 3.1.1, where a
        map shrinks under the walk), so it is looked at and done again.

        Raises:
            jsonrpc.RpcError: it does not run, refused, or entries come back all the time.
        """
        datapath, in_zone = _DATAPATHS[datapath_type], f"zone={zone}"
        for _ in range(_FLUSHES):
            await self._flush(datapath, in_zone)
            if not (await self.appctl("dpctl/dump-conntrack", datapath, in_zone)).strip():
                return
        raise jsonrpc.RpcError(f"conntrack zone {zone} is never empty")

    async def forget(self, datapath_type: str, zone: int, address: str) -> None:
        """Delete the conntrack entries of a zone that have *address* as an end.

        Whoever began speaks from it, or whoever answers: what is translated on the way to an end
        says so in the answers' addresses alone.

        Raises:
            jsonrpc.RpcError: it does not run or refused.
        """
        family = "ct_ipv6" if ":" in address else "ct_nw"
        source = f"{family}_src={address}"
        for of_question_or_answer in ((source,), ("", source)):
            which = (f"zone={zone}", *of_question_or_answer)
            await self._flush(_DATAPATHS[datapath_type], *which)

    async def forget_translated(self, datapath_type: str, zone: int, address: str) -> None:
        """Delete the conntrack entries of a zone whose answers come to *address*.

        That walks through all of it, once.

        Raises:
            jsonrpc.RpcError: it does not run, refused, or takes too long.
        """
        await self._flush(
            _DATAPATHS[datapath_type],
            f"zone={zone}",
            "",
            f"ct_nw_dst={address}",
            timeout=_LISTING_S,
        )

    async def forget_one(self, datapath_type: str, zone: int, ends: Ends) -> None:
        """Delete the conntrack entry of one connection, without looking at others.

        Raises:
            jsonrpc.RpcError: it does not run, or there is no such entry.
        """
        await self._flush(
            _DATAPATHS[datapath_type],
            f"zone={zone}",
            f"ct_nw_src={ends.source},ct_nw_dst={ends.destination},ct_nw_proto={ends.protocol},"
            f"ct_tp_src={ends.source_port},ct_tp_dst={ends.destination_port}",
        )

    async def _flush(self, datapath: str, *which: str, timeout: float = _CALL_S) -> None:
        """Flush a zone, or some of it: with the datapath's name only where there are several.

        Open vSwitch 3.1.0 takes a name in front of a zone for part of a tuple; without a name every
        version refuses where it is needed.
        """
        try:
            await self.appctl("dpctl/flush-conntrack", *which, timeout=timeout)
        except jsonrpc.RpcError:
            await self.appctl("dpctl/flush-conntrack", datapath, *which, timeout=timeout)

    async def tracked(self, datapath_type: str) -> int | None:
        """Return how many entries conntrack has in all zones together; None: it does not say.

        Only the userspace datapath does, once it has a bridge.
        """
        try:
            text = await self.appctl("dpctl/ct-get-nconns", _DATAPATHS[datapath_type])
        except jsonrpc.RpcError:
            return None
        return int(text) if text.strip().isdecimal() else None

    async def hold_fragments(self) -> bool:
        """Have the userspace datapath hold as many fragments as it can; tell whether it was done.

        Not yet while it has no bridge, or ovs-vswitchd does not run.
        """
        arguments = (_DATAPATHS["netdev"], _MOST_FRAGMENTS)
        try:
            await self.appctl("dpctl/ipf-set-max-nfrags", *arguments)
        except jsonrpc.RpcError:
            return False
        return True

    async def entries(self, datapath_type: str, zone: int) -> str:
        """Return what ``dpctl/ct-stats-show`` says of a zone: how many entries it has.

        Raises:
            jsonrpc.RpcError: it does not run, refused, or takes too long.
        """
        return await self.appctl("dpctl/ct-stats-show", _DATAPATHS[datapath_type], f"zone={zone}")

    async def connections(
        self, datapath_type: str, zone: int, take: Callable[[bytes], None]
    ) -> None:
        """Have *take* take in the connections of a zone, in pieces (see ``jsonrpc.listing``).

        Raises:
            jsonrpc.RpcError: it does not run, refused, or takes too long.
        """
        arguments = [_DATAPATHS[datapath_type], f"zone={zone}"]
        await jsonrpc.listing(
            self._socket(), "dpctl/dump-conntrack", arguments, take, timeout=_LISTING_S
        )

    async def version(self) -> str:
        """Return its version, such as ``3.1.0``; empty when it does not answer."""
        try:
            words = (await self.appctl("version")).split()
        except jsonrpc.RpcError:
            return ""
        return words[3] if len(words) > 3 else ""


async def counters(remote: str) -> dict[str, LinkCounters]:
    """Return interface UUID → counters, asked from ovsdb-server at *remote* (``unix:…``).

    Raises:
        jsonrpc.RpcError: no answer.
    """
    if not remote.startswith("unix:"):
        return {}
    select = {"op": "select", "table": "Interface", "where": []}
    question = ["Open_vSwitch", {**select, "columns": ["_uuid", "statistics"]}]
    answer = await jsonrpc.call(Path(remote.removeprefix("unix:")), "transact", question)
    return {row["_uuid"][1]: _counters(row["statistics"]) for row in answer[0].get("rows", ())}


async def controller_connected(remote: str, owner: str) -> bool:
    """Tell whether ovs-vswitchd is connected to a controller of ours, as ovsdb-server has it.

    Not a column of the replica: the rows of a controller that is away change all the time.

    Raises:
        jsonrpc.RpcError: no answer.
    """
    if not remote.startswith("unix:"):
        return False
    ours = ["external_ids", "includes", ["map", [[marks.OWNER_KEY, owner]]]]
    select = {"op": "select", "table": "Controller", "where": [ours], "columns": ["is_connected"]}
    socket = Path(remote.removeprefix("unix:"))
    answer = await jsonrpc.call(socket, "transact", ["Open_vSwitch", select])
    return any(row["is_connected"] for row in answer[0].get("rows", ()))


def _counters(column: Any) -> LinkCounters:
    values = {name: max(0, value) for name, value in column[1] if name in _COUNTERS}
    return LinkCounters(**values)
