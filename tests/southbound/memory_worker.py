"""Builds a large network as the southbound holds it; prints the bytes that one port takes.

Run as ``python -m tests.southbound.memory_worker PORTS``, in a process of its own.
"""

import asyncio
import sys
import tracemalloc
from collections.abc import Iterator

from tests.support import networks as n
from vpcctl.model.changes import Change, ChangeBatch
from vpcctl.model.location import Location
from vpcctl.southbound.network_program import NetworkProgram

_PORTS_PER_SUBNET = 1_000
_HOSTS = 100


def copy(text: str) -> str:
    """The same text as another object."""
    return "".join(list(text))


def changes(ports: int) -> Iterator[Change]:
    """Every port with both families, a group and a location; each with strings of its own."""
    hosts = [n.host(i) for i in range(1, 1 + _HOSTS)]
    yield from map(n.put, hosts)
    for number in range(1, 1 + -(-ports // _PORTS_PER_SUBNET)):
        vpc = n.vpc(number)
        subnet = n.subnet(number, vpc, "10.0.0.0/16", f"fd00:{number:x}::/64")
        itself = n.group_id(number)
        rules = [n.allow("ingress", itself, one) for one in (4, 6)]
        group = n.group(number, vpc, *rules, *(n.allow("egress", None, one) for one in (4, 6)))
        yield from (n.put(vpc), n.put(group), n.put(subnet))
        first = (number - 1) * _PORTS_PER_SUBNET
        for index in range(min(_PORTS_PER_SUBNET, ports - first)):
            key, low = first + index + 1, index + 16
            mac = "0e:" + key.to_bytes(5, "big").hex(":")
            ips = (f"10.0.{low >> 8}.{low & 255}", f"fd00:{number:x}::{low:x}")
            port = n.port(key, subnet, mac, *ips, groups=(copy(group.id),))
            yield n.put(port)
            where = Location(copy(port.id), copy(hosts[key % _HOSTS].id), 2 + key // _HOSTS)
            yield n.put(where)


def main() -> None:
    """Load ports and print the bytes that each takes once the batch is forgotten."""
    ports = int(sys.argv[1])
    program = NetworkProgram()
    tracemalloc.start()
    asyncio.run(program.load(ChangeBatch(1, tuple(changes(ports)))))
    used, _ = tracemalloc.get_traced_memory()
    print(used // ports)


if __name__ == "__main__":
    main()
