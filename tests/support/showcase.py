"""The fixed network of goldens, documents and examples: two tenants with the same addresses."""

from tests.oracle.oracle import World
from tests.support.networks import at, host, network, pair, port, subnet, vpc
from vpcctl.model.network import Network

HOST_1, HOST_2 = host(1), host(2)
RED, BLUE = vpc(1), vpc(2)
WEB = subnet(0x11, RED, "10.0.1.0/24", "fd00:1::/64")
DATA = subnet(0x12, RED, "10.0.2.0/24", "fd00:2::/64")
OTHER = subnet(0x21, BLUE, "10.0.1.0/24")

WEB_1 = port(0x101, WEB, "0e:00:00:00:00:01", "10.0.1.10", "fd00:1::10")
WEB_2 = port(
    0x102,
    WEB,
    *("0e:00:00:00:00:02", "10.0.1.11", "fd00:1::11"),
    allowed_pairs=(pair("10.0.1.77/32"),),
)
WEB_3 = port(
    0x103,
    WEB,
    *("0e:00:00:00:00:03", "10.0.1.12", "fd00:1::12"),
    allowed_pairs=(pair("10.0.1.77/32"),),
)
DATA_1 = port(0x104, DATA, "0e:00:00:00:00:01", "10.0.2.10", "fd00:2::10")
DATA_2 = port(0x105, DATA, "0e:00:00:00:00:02", "10.0.2.11", "fd00:2::11", port_security=False)
DATA_3 = port(0x106, DATA, "0e:00:00:00:00:03", "10.0.2.12", "fd00:2::12")
OTHER_1 = port(0x201, OTHER, "0e:00:00:00:00:01", "10.0.1.10")
OTHER_2 = port(0x202, OTHER, "0e:00:00:00:00:02", "10.0.1.11")
DOWN = port(0x203, OTHER, "0e:00:00:00:00:03", "10.0.1.12", admin_up=False)

VPCS = (RED, BLUE)
WORLD = World(
    (HOST_1, HOST_2),
    (WEB, DATA, OTHER),
    (WEB_1, WEB_2, WEB_3, DATA_1, DATA_2, DATA_3, OTHER_1, OTHER_2, DOWN),
    (
        *(at(WEB_1, HOST_1, 11), at(WEB_2, HOST_1, 12), at(WEB_3, HOST_2, 11)),
        *(at(DATA_1, HOST_2, 12), at(DATA_2, HOST_1, 13), at(DATA_3, HOST_1, 16)),
        *(at(OTHER_1, HOST_1, 14), at(OTHER_2, HOST_2, 13), at(DOWN, HOST_1, 15)),
    ),
)


def showcase() -> Network:
    """The fixed network."""
    return network(*WORLD.hosts, *VPCS, *WORLD.subnets, *WORLD.ports, *WORLD.locations)
