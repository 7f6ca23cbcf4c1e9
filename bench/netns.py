"""Network namespaces and links, through ip(8) batches."""

from bench.processes import run


def ip_batch(netns: str | None, *lines: str) -> None:
    """Run ``ip`` commands (without the leading word) in *netns* as one batch."""
    scope = ["-n", netns] if netns else []
    run("ip", *scope, "-batch", "-", stdin="\n".join(lines) + "\n")


def add_netns(name: str) -> None:
    """Make a namespace with its loopback up and IPv6 off (no stray packets in the figures)."""
    run("ip", "netns", "add", name)
    ip_batch(name, "link set lo up")
    settings = ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
    run("ip", "netns", "exec", name, "sysctl", "-qw", *settings)


def delete_netns(name: str) -> None:
    """Delete a namespace; its devices go with it."""
    run("ip", "netns", "delete", name)


def list_netns(prefix: str) -> list[str]:
    """Return the names of the namespaces that begin with *prefix*."""
    names = [line.split()[0] for line in run("ip", "netns", "list").splitlines() if line.strip()]
    return [name for name in names if name.startswith(prefix)]


def add_veth(near: tuple[str, str], far: tuple[str, str], mtu: int) -> None:
    """Join (namespace, device) *near* and *far* by a veth pair, both ends up.

    The offloads are off at both ends: the userspace datapath reads packets through a raw socket
    and would see checksums that nobody has filled in.
    """
    ip_batch(
        None,
        f"link add {near[1]} netns {near[0]} mtu {mtu} type veth "
        f"peer name {far[1]} netns {far[0]} mtu {mtu}",
    )
    for netns, device in (near, far):
        ip_batch(netns, f"link set {device} up")
        offloads = ("tx", "off", "tso", "off", "gso", "off", "gro", "off")
        run("ip", "netns", "exec", netns, "ethtool", "-K", device, *offloads)
