"""Holds a host back before its ovs-vswitchd starts, as an agent does that sees the last one end.

After a power cut nobody has seen that. ovs-vswitchd has BFD up within a second of its start, and
hosts that rely on this one would send to it before its flows are there.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from agent import jsonrpc
from agent.decide import marks
from agent.ovs_process import Vswitchd
from agent.settings import Settings


def hold_back(settings: Settings) -> int:
    """Have BFD tell all who are watched not to rely on this host; returns the exit code.

    The agent takes it back when the flows are there. A running ovs-vswitchd is its own agent's
    matter: nothing is changed then.
    """
    watched = Vswitchd(settings.ovs_rundir).watch()
    if watched is not None:
        os.close(watched[1])
        print("ovs-vswitchd runs: its agent says who may rely on this host")
        return 0
    try:
        count = asyncio.run(_tell(settings.ovsdb, settings.host_id))
    except jsonrpc.RpcError as error:
        print(f"vpc-agent: {error}", file=sys.stderr)
        return 1
    print(f"{count} hosts will not rely on this one until its agent has its flows")
    return 0


async def _tell(remote: str, owner: str) -> int:
    """Write it to the database; return how many hosts it is told to."""
    if not remote.startswith("unix:"):
        raise jsonrpc.RpcError(
            f"OVSDB at {remote}: only that of this host, as unix:/path, is written"
        )
    path = Path(remote.removeprefix("unix:"))
    ours = ["external_ids", "includes", ["map", [[marks.OWNER_KEY, owner]]]]
    columns = ["_uuid", "external_ids"]
    rows = await _transact(
        path, {"op": "select", "table": "Interface", "where": [ours], "columns": columns}
    )
    watches = [row["_uuid"] for row in rows[0]["rows"] if _is_watch(row["external_ids"])]
    await _transact(path, *(_refusing(uuid) for uuid in watches))
    return len(watches)


def _is_watch(external_ids: Any) -> bool:
    return any(key == marks.WATCH_KEY for key, _ in external_ids[1])


def _refusing(uuid: Any) -> dict[str, Any]:
    """Return the operation that has one session say "concatenated path down" (RFC 5880, 6.8.17)."""
    down = ["map", [["cpath_down", "true"]]]
    return {
        "op": "mutate",
        "table": "Interface",
        "where": [["_uuid", "==", uuid]],
        "mutations": [["bfd", "delete", ["set", ["cpath_down"]]], ["bfd", "insert", down]],
    }


async def _transact(path: Path, *operations: dict[str, Any]) -> list[Any]:
    """Carry out operations, all or none; return their results.

    Raises:
        jsonrpc.RpcError: no answer, or one of them failed.
    """
    results: list[Any] = await jsonrpc.call(path, "transact", ["Open_vSwitch", *operations])
    for result in results:
        if result and "error" in result:
            raise jsonrpc.RpcError(f"OVSDB at {path}: {result['error']} {result.get('details')}")
    return results
