"""What the lab of virtual machines asks them, and what is to be in their answers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

DOMAIN = "vpc.internal"
"""Of a VPC that says nothing else."""
ROUTER = "fe80::c76:70ff:fe63:1"
"""The link-local address of every subnet's gateway."""
_RECORDS = {4: "a", 6: "aaaa"}
_METADATA = "latest/meta-data"


@dataclass(frozen=True)
class Question:
    """A shell command for a machine.

    Attributes:
        what: what is said when the answer is right.
        command: the command.
        wanted: what it is to print, among other things.
    """

    what: str
    command: str
    wanted: str


def addresses_of(port: dict[str, Any]) -> dict[int, str]:
    """Return a port's address by family, 4 and 6."""
    return {6 if ":" in text else 4: text for text in port["fixed_ips"]}


def learnt(port: dict[str, Any], subnet: dict[str, Any]) -> Iterator[Question]:
    """Yield whether a machine has all that its port says; what comes last by itself is last."""
    own, mtu = addresses_of(port), port["mtu"]
    for what, command, wanted in (
        ("the IPv4 address", "ip -4 -o addr show dev eth0", f"{own[4]}/24 "),
        ("the IPv4 route", "ip -4 route", f"default via {subnet['gateway']} "),
        ("the MTU", "cat /sys/class/net/eth0/mtu", f"{mtu}\n"),
        ("the name", "hostname", f"{port['name']}\n"),
        ("the domain", "cat /etc/resolv.conf", f"search {DOMAIN}\n"),
        ("the IPv6 route", "ip -6 route", f"default via {ROUTER} "),
        ("the MTU of IPv6", "cat /proc/sys/net/ipv6/conf/eth0/mtu", f"{mtu}\n"),
        # It cannot be used before it is known that nobody else has it.
        (
            "the IPv6 address",
            "ip -6 -o addr show dev eth0 | grep -v tentative",
            f"{own[6]}/64 ",
        ),
    ):
        yield Question(f"has {what} {wanted.strip()}", command, wanted)


def names(other: dict[str, Any]) -> Iterator[Question]:
    """Yield whether a machine finds another port by name, and the name by address."""
    name = f"{other['name']}.{DOMAIN}"
    for family, address in addresses_of(other).items():
        # One kind at a time: busybox gives both questions the same id where the clock is coarse.
        ask = f"nslookup -type={_RECORDS[family]} {other['name']}"
        found = f"Name:\t{name}\nAddress: {address}\n"
        yield Question(f"finds {other['name']} at {address}", ask, found)
        reverse = f"name = {name}\n"
        yield Question(f"finds its name by IPv{family}", f"nslookup {address}", reverse)


def ping(other: dict[str, Any], family: int) -> Question:
    """Return whether a machine reaches another port by its name alone."""
    name = other["name"]
    command = f"ping -{family} -c 1 -W 1 {name} && echo reached"
    return Question(f"reaches {name} by name and IPv{family}", command, "reached\n")


def identity(port: dict[str, Any]) -> Iterator[Question]:
    """Yield whether a machine is told by the metadata service who it is."""
    for key, wanted in (
        ("instance-id", port["id"]),
        ("local-hostname", f"{port['name']}.{DOMAIN}"),
        ("local-ipv4", addresses_of(port)[4]),
        ("mac", port["mac_address"]),
    ):
        yield Question(f"hears its {key}: {wanted}", f"metadata {_METADATA}/{key}", wanted)


def guarded_data(said: str) -> Iterator[Question]:
    """Yield whether a machine that needs tokens is told *said*, its user data, with one alone."""
    yield Question("gets its user data", "metadata latest/user-data", said)
    without = "wget -O - http://169.254.169.254/latest/user-data"
    yield Question("gets nothing without a token", without, " 401 ")


def public(eip: str) -> Question:
    """Return whether a machine is told its EIP."""
    return Question(f"hears its public-ipv4: {eip}", f"metadata {_METADATA}/public-ipv4", eip)


def place_to_ask() -> Question:
    """Return whether a machine's firmware says what makes cloud-init ask for metadata."""
    product = "OpenStack Compute"
    return Question(f"is an {product}", "cat /sys/class/dmi/id/product_name", f"{product}\n")


def no_data() -> Question:
    """Return whether a machine without user data is told so."""
    return Question("has no user data", "metadata latest/user-data", " 404 ")
