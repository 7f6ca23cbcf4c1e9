"""Network namespaces and netlink sockets of the worker thread."""

import ctypes
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pyroute2.iproute.linux import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

CLONE_NEWNET = 0x40000000
_MS_BIND, _MS_REC, _MS_SHARED, _MNT_DETACH = 0x1000, 0x4000, 0x100000, 2
_HERE = "/proc/thread-self/ns/net"
_SYSCTL = Path("/proc/sys/net")
_SIOCETHTOOL = 0x8946
ETHTOOL_STXCSUM = 0x17
ETHTOOL_GGRO, ETHTOOL_SGRO = 0x2B, 0x2C

_FRESH = ".vpcctl-"
"""Prefix of the file that a namespace is about to be mounted on, until it holds its mark."""

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def bind_mount(source: str, target: Path) -> None:
    """Mount *source* over *target*."""
    _check(
        _libc.mount(source.encode(), bytes(target), b"none", _MS_BIND, None), f"mount on {target}"
    )


def detach_mount(target: Path) -> None:
    """Take the mount off *target*; one that is not there is fine."""
    if _libc.umount2(bytes(target), _MNT_DETACH) != 0 and ctypes.get_errno() != errno.EINVAL:
        raise OSError(ctypes.get_errno(), f"umount of {target}")


def share_directory(directory: Path) -> None:
    """Make *directory* a shared mount, as ip-netns(8) does, so that every process sees mounts."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    target = bytes(directory)
    if _libc.mount(b"", target, b"none", _MS_SHARED | _MS_REC, None) == 0:
        return
    bind_mount(str(directory), directory)
    _check(_libc.mount(b"", target, b"none", _MS_SHARED | _MS_REC, None), f"share {directory}")


def enter(fd: int) -> None:
    """Move this thread into the network namespace that *fd* names."""
    _check(_libc.setns(fd, CLONE_NEWNET), "setns")


def unshare() -> None:
    """Move this thread into a new network namespace."""
    _check(_libc.unshare(CLONE_NEWNET), "unshare")


def ethtool_value(name: str, command: int, value: int = 0) -> int:
    """Carry out an ethtool ioctl with one 32-bit value in this thread's namespace.

    Returns:
        The value after the call.

    Raises:
        OSError: no such device, or it does not know the command.
    """
    buffer = ctypes.create_string_buffer(
        command.to_bytes(4, "little") + value.to_bytes(4, "little"), 8
    )
    request = name.encode().ljust(16, b"\0") + ctypes.addressof(buffer).to_bytes(8, "little")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control.fileno(), _SIOCETHTOOL, request.ljust(40, b"\0"))
    return int.from_bytes(buffer.raw[4:8], "little")


def not_found(error: NetlinkError) -> bool:
    """Tell whether the kernel says that a link, address, route or neighbour is not there."""
    return error.code in (errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENXIO)


def find_link(sock: Any, name: str) -> Any:
    """Return the device of a name; None: there is none.

    Raises:
        NetlinkError: the kernel refused.
    """
    try:
        found = sock.link("get", ifname=name)
    except NetlinkError as error:
        if not_found(error):
            return None
        raise
    return found[0] if found else None


def attribute(message: Any, name: str) -> Any:
    """Return an attribute of a netlink message, or None."""
    return message.get_attr(name)


class Namespaces:
    """The namespaces under a directory, each with its own netlink socket while in use.

    Belongs to one thread. ``host`` is the namespace that the thread was in at the start.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._home = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
        self.host: Any = IPRoute()
        self.host.link("get", index=1)  # the socket is made at its first use: make it here

    def close(self) -> None:
        """Give back the sockets."""
        self.host.close()
        os.close(self._home)

    def path(self, netns: str) -> Path:
        """Return the file that names a namespace."""
        return self.directory / netns

    def exists(self, netns: str) -> bool:
        """Tell whether the file is there and a namespace is mounted on it."""
        path = self.path(netns)
        try:
            return path.stat().st_dev != self.directory.stat().st_dev
        except FileNotFoundError:
            return False

    def names(self) -> list[str]:
        """Return the names of all namespaces under the directory."""
        try:
            entries = sorted(os.listdir(self.directory))
        except FileNotFoundError:
            return []
        return [name for name in entries if self.exists(name)]

    @contextmanager
    def inside(self, netns: str) -> Iterator[Any]:
        """Move the thread into a namespace and give a netlink socket of it.

        Raises:
            OSError: there is no such namespace.
        """
        fd = os.open(self.path(netns), os.O_RDONLY | os.O_CLOEXEC)
        with ExitStack() as stack:
            stack.callback(os.close, fd)
            enter(fd)
            stack.callback(enter, self._home)
            yield stack.enter_context(IPRoute())

    def make(self, netns: str, alias: str) -> None:
        """Make a namespace; its mark is on ``lo`` before the namespace has a name.

        The file that it is mounted on holds the mark too, in case we are killed before that.
        Router advertisements are not accepted there and addresses are used at once: the
        network itself guards them against duplicates.

        Raises:
            OSError: the name is taken or the kernel refuses.
        """
        share_directory(self.directory)
        path = self.path(netns)
        try:
            unshare()
            with IPRoute() as inside:
                inside.link("set", index=1, state="up", ifalias=alias)
            quiet_ipv6("default")
            if not path.exists():
                fresh = self.path(_FRESH + netns)
                fresh.write_text(alias)
                fresh.rename(path)
            bind_mount(_HERE, path)
        finally:
            enter(self._home)

    def alias(self, netns: str) -> str | None:
        """Return the mark on a namespace's ``lo``; None: it has none.

        Raises:
            OSError: there is no such namespace.
        """
        with self.inside(netns) as sock:
            return attribute(sock.link("get", index=1)[0], "IFLA_IFALIAS")

    def remove_bare(self, alias: str) -> None:
        """Remove files that hold a mark but that no namespace was mounted on."""
        if not self.directory.is_dir():
            return
        for path in sorted(self.directory.iterdir()):
            try:
                bare = path.is_file() and not self.exists(path.name)
                if bare and path.read_text() == alias:
                    path.unlink()
            except (OSError, UnicodeDecodeError):
                continue  # somebody else's, and busy

    def remove(self, netns: str) -> None:
        """Take a namespace's name away; the kernel ends it when nothing uses it any more."""
        path = self.path(netns)
        detach_mount(path)
        path.unlink(missing_ok=True)

    def has_processes(self, netns: str) -> bool:
        """Tell whether a process lives in the namespace."""
        inode = self.path(netns).stat().st_ino
        wanted = f"net:[{inode}]"
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    if os.readlink(f"/proc/{entry}/ns/net") == wanted:
                        return True
                except OSError:
                    continue  # it ended in the meantime, or hides from us
        return False


def quiet_ipv6(interface: str) -> None:
    """Switch off waiting for duplicate detection and router advertisements on an interface.

    Args:
        interface: name in this thread's namespace, or ``default``.
    """
    for name in ("accept_dad", "dad_transmits", "accept_ra", "router_solicitations"):
        _write(_SYSCTL / "ipv6/conf" / interface / name, "0")


def keep_secondaries(interface: str) -> None:
    """Have addresses outlive the removal of the first one of their subnet."""
    _write(_SYSCTL / "ipv4/conf" / interface / "promote_secondaries", "1")


def shut_out_kernel(interface: str, *, shut: bool) -> None:
    """Keep the host's own stack from answering frames that a userspace datapath reads.

    The kernel gets a copy of every frame that ovs-vswitchd reads from a device. Without this it
    would answer ARP for the host's addresses there and take packets for them: a tunnel's packets
    twice, a guest's at all (Documentation/intro/install/userspace.rst of Open vSwitch asks for
    firewall rules to the same end).

    Args:
        interface: name in this thread's namespace.
        shut: False lets the host's stack in again.
    """
    for name, value in (("rp_filter", "1"), ("arp_ignore", "8")):
        _write(_SYSCTL / "ipv4/conf" / interface / name, value if shut else "0")
    _write(_SYSCTL / "ipv6/conf" / interface / "disable_ipv6", "1" if shut else "0")


def _write(path: Path, value: str) -> None:
    try:
        path.write_text(value)
    except FileNotFoundError:
        return  # the kernel has no IPv6, or the device is gone
