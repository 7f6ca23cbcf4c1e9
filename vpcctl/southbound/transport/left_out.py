"""What os-ken loads for nothing, left out: imported before os-ken, this stands in for it.

Each of os-ken's codecs imports its whole library of packets (BGP, OSPF and all of it: 9 MiB) for
one ``isinstance`` of a packet that is sent out. No packet ever comes here, and none is sent. And
beside the codec of OpenFlow 1.4 it loads those of all other versions (4 MiB), which no switch may
speak here.
"""

import sys
import types
from typing import Any

PACKETS = "os_ken.lib.packet.packet"
_OTHER_VERSIONS = {"v1_2": 3, "v1_3": 4, "v1_5": 6}
"""Number on the wire, by name. Of 1.0 the constants are needed, the codec is not."""


class Packet:
    """Nothing is one."""


def _stand_in(name: str, **members: Any) -> None:
    if name not in sys.modules:
        module = sys.modules[name] = types.ModuleType(name, __doc__)
        vars(module).update(members)


_stand_in(PACKETS, Packet=Packet)
_stand_in("os_ken.ofproto.ofproto_v1_0_parser")
for _name, _number in _OTHER_VERSIONS.items():
    _stand_in(f"os_ken.ofproto.ofproto_{_name}", OFP_VERSION=_number)
    _stand_in(f"os_ken.ofproto.ofproto_{_name}_parser")
