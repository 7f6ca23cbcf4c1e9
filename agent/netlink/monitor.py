"""Tells what changes on the host: links that come and go, neighbours that get another MAC."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pyroute2 import AsyncIPRoute

from agent.netlink import core

log = logging.getLogger(__name__)

_GROUPS = 0x1 | 0x4  # RTMGRP_LINK | RTMGRP_NEIGH
_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """A link came, changed or went; name ``*`` when events were lost and all may have."""

    kind: Literal["link"]
    name: str
    gone: bool


@dataclass(frozen=True, slots=True)
class NeighbourEvent:
    """A neighbour has this MAC now."""

    kind: Literal["neighbour"]
    device: int
    address: str
    mac: str


Event = LinkEvent | NeighbourEvent


def _event(message: Any) -> Event | None:
    match message.get("event"):
        case "RTM_NEWLINK" | "RTM_DELLINK" as name:
            gone = name == "RTM_DELLINK"
            return LinkEvent("link", core.attribute(message, "IFLA_IFNAME") or "", gone)
        case "RTM_NEWNEIGH":
            mac = core.attribute(message, "NDA_LLADDR")
            address = core.attribute(message, "NDA_DST")
            if mac and address:
                return NeighbourEvent("neighbour", message["ifindex"], address, mac)
    return None


async def watch(listener: Callable[[Event], None]) -> None:
    """Tell *listener* of every event, for ever; lost ones show as a link event named ``*``."""
    while True:
        try:
            async with AsyncIPRoute() as sock:
                await sock.bind(groups=_GROUPS)
                listener(LinkEvent("link", "*", gone=False))
                while True:
                    async for message in sock.get():
                        event = _event(message)
                        if event is not None:
                            listener(event)
        except Exception as error:  # netlink's own errors are plain Exceptions
            log.warning("netlink events were lost: %s", error)
        await asyncio.sleep(_PAUSE_S)
