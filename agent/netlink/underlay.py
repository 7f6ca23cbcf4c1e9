"""Reads and moves the addresses and routes of the underlay device."""

import ipaddress
import socket
from collections.abc import Iterable
from typing import Any

from pyroute2.netlink import genlmsg
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.generic import GenericNetlinkSocket

from agent.decide.underlay import Address, Device, Move, Route
from agent.netlink import core

_MAIN_TABLE = 254
_KERNEL, _RA = 2, 9
_ANY = {2: str(ipaddress.IPv4Address(0)), 10: "::"}
_UNIVERSE = 0
_TEMPORARY, _NODAD = 0x01, 0x02


def has_kernel_datapath() -> bool:
    """Tell whether the kernel has Open vSwitch's datapath.

    Asking for its generic netlink family makes the kernel load the module where there is one.
    """
    with GenericNetlinkSocket() as sock:
        try:
            sock.bind("ovs_datapath", genlmsg)
        except NetlinkError:
            return False
    return True


class UnderlayDriver:
    """Devices of the host's own namespace. Belongs to the worker thread."""

    def __init__(self, namespaces: core.Namespaces) -> None:
        self._sock = namespaces.host

    def device(self, name: str) -> Device | None:
        """Return a device with its global addresses and its routes, or None."""
        link = core.find_link(self._sock, name)
        if link is None:
            return None
        index = link["index"]
        return Device(
            name=name,
            index=index,
            mac=core.attribute(link, "IFLA_ADDRESS"),
            mtu=core.attribute(link, "IFLA_MTU"),
            up=bool(link["flags"] & 1),
            addresses=tuple(self._addresses(index)),
            routes=tuple(self._routes(index)),
        )

    def index(self, name: str) -> int | None:
        """Return a device's index, or None."""
        try:
            return socket.if_nametoindex(name)
        except OSError:
            return None

    def device_with(self, address: str) -> str | None:
        """Return the name of the device that has an address, or None."""
        for message in self._sock.get_addr(family=10 if ":" in address else 2):
            own = core.attribute(message, "IFA_LOCAL") or core.attribute(message, "IFA_ADDRESS")
            if own == address:
                link = self._sock.link("get", index=message["index"])[0]
                return core.attribute(link, "IFLA_IFNAME")
        return None

    def move(self, move: Move, source: Device | None, target: Device) -> None:
        """Take addresses from one device and give them, with their routes, to another.

        Raises:
            OSError, NetlinkError: the kernel refused a step.
        """
        if source is not None:
            for address, length in move.take:
                self._delete_address(source.index, address, length)
        self._sock.link("set", index=target.index, state="up")
        for address, length in move.give:
            flags = {"flags": _NODAD} if ":" in address else {}
            self._sock.addr(
                "replace", index=target.index, address=address, prefixlen=length, **flags
            )
        for route in move.routes:
            self._add_route(target.index, route)

    def delete(self, name: str) -> None:
        """Delete a device; one that is gone is fine."""
        try:
            device = self.device(name)
            if device is not None:
                self._sock.link("del", index=device.index)
        except NetlinkError as error:
            if not core.not_found(error):
                raise

    def shut_out_kernel(self, name: str, *, shut: bool) -> None:
        """Keep the host's own stack off a device, or let it in again."""
        core.shut_out_kernel(name, shut=shut)

    def serve_on(self, name: str) -> None:
        """Bring up an internal port that only the agent itself speaks on.

        Raises:
            OSError, NetlinkError: the kernel refused.
        """
        core.shut_out_kernel(name, shut=True)
        device = self.device(name)
        if device is not None and not device.up:
            self._sock.link("set", index=device.index, state="up")

    def stop_on(self, name: str) -> None:
        """Take an internal port down again, if it is there.

        Raises:
            OSError, NetlinkError: the kernel refused.
        """
        device = self.device(name)
        if device is not None and device.up:
            self._sock.link("set", index=device.index, state="down")

    def _delete_address(self, index: int, address: str, length: int) -> None:
        try:
            self._sock.addr("del", index=index, address=address, prefixlen=length)
        except NetlinkError as error:
            if not core.not_found(error):
                raise

    def _addresses(self, index: int) -> Iterable[Address]:
        for message in self._sock.get_addr(index=index):
            flags = core.attribute(message, "IFA_FLAGS") or message["flags"]
            temporary = message["family"] == 10 and flags & _TEMPORARY
            if message["scope"] == _UNIVERSE and not temporary:
                own = core.attribute(message, "IFA_LOCAL")
                yield own or core.attribute(message, "IFA_ADDRESS"), message["prefixlen"]

    def _routes(self, index: int) -> Iterable[Route]:
        for family in (2, 10):
            for message in self._sock.get_routes(family=family, table=_MAIN_TABLE):
                learned = message["proto"] in (_KERNEL, _RA)
                if core.attribute(message, "RTA_OIF") == index and not learned:
                    yield _route(message, family)

    def _add_route(self, index: int, route: Route) -> None:
        values: dict[str, Any] = {"dst": route.destination, "oif": index}
        values |= {"proto": route.protocol, "scope": route.scope}
        values["family"] = 10 if ":" in route.destination else 2
        if route.gateway:
            values["gateway"] = route.gateway
        if route.metric:
            values["priority"] = route.metric
        if route.source:
            values["prefsrc"] = route.source
        self._sock.route("replace", **values)


def _route(message: Any, family: int) -> Route:
    destination = core.attribute(message, "RTA_DST") or _ANY[family]
    return Route(
        destination=f"{destination}/{message['dst_len']}",
        gateway=core.attribute(message, "RTA_GATEWAY") or "",
        metric=core.attribute(message, "RTA_PRIORITY") or 0,
        protocol=message["proto"],
        source=core.attribute(message, "RTA_PREFSRC") or "",
        scope=message["scope"],
    )
