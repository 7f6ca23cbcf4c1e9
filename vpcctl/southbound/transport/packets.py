"""os-ken's library of packets, left out: imported before os-ken, it stands in for it.

Each of os-ken's codecs imports the whole library (BGP, OSPF and all of it: 9 MiB) for one
``isinstance`` of a packet that is sent out. No packet ever comes here, and none is sent.
"""

import sys
import types

NAME = "os_ken.lib.packet.packet"


class Packet:
    """Nothing is one."""


def _stand_in() -> types.ModuleType:
    module = types.ModuleType(NAME, __doc__)
    module.Packet = Packet  # type: ignore[attr-defined]
    return module


sys.modules.setdefault(NAME, _stand_in())
