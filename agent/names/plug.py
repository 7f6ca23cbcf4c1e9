"""br-int's end of the pair, and whether it is where it belongs.

Open vSwitch has to let go of an earlier pair before another one takes its name.

A device that is made anew under the name of one that Open vSwitch still holds is not noticed: it
goes on reading from the one that is gone.
"""

import asyncio
import socket

from agent.bridges import Ovs
from agent.decide import marks
from agent.decide.bridge import services_port
from agent.decide.rows import PlugWish, UnplugWish
from agent.jsonrpc import RpcError
from agent.ovs_process import Vswitchd

_LETS_GO_S = 5.0
_POLL_S = 0.05


class Plug:
    """br-int's end of the pair in Open vSwitch.

    Args:
        ovs: OVSDB.
        vswitchd: tells what it holds.
        bridge: name of the integration bridge.
        owner: host id that marks what we make.
    """

    def __init__(self, ovs: Ovs, vswitchd: Vswitchd, bridge: str, owner: str) -> None:
        self._ovs = ovs
        self._vswitchd = vswitchd
        self._bridge = bridge
        self._owner = owner

    async def take_out(self) -> None:
        """Take the port off the bridge; returns when Open vSwitch has let go of its device.

        Raises:
            OvsdbError: OVSDB does not answer.
        """
        await self._ovs.apply([UnplugWish(self._bridge, marks.SERVICES, self._owner)])
        deadline = asyncio.get_running_loop().time() + _LETS_GO_S
        while await self._holds() and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_POLL_S)

    async def put_in(self) -> None:
        """Put the port, whose device is there, onto the bridge.

        Raises:
            OvsdbError: OVSDB does not answer, or there is no bridge yet.
        """
        await self._ovs.apply([PlugWish(self._bridge, services_port(self._owner))])

    def is_missing(self) -> bool:
        """Tell whether the port or its device is gone, while there is a bridge for it."""
        row = self._ovs.bridges().get(self._bridge)
        if row is None:
            return False  # whoever makes it anew tells us
        return marks.SERVICES not in row.ports or not _is_device(marks.SERVICES)

    async def _holds(self) -> bool:
        try:
            return marks.SERVICES in await self._vswitchd.appctl("dpif/show")
        except RpcError:
            return False  # it does not run: it opens everything anew when it does


def _is_device(name: str) -> bool:
    """Tell whether this thread's network namespace has a device."""
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True
