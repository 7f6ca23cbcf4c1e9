"""A port: where a workload meets its subnet."""

from dataclasses import dataclass

from vpcctl.model.addresses import IPAddress, IPNetwork, Mac
from vpcctl.model.limits import Limits


@dataclass(frozen=True, slots=True)
class AddressPair:
    """A further source address that a port may use (a VRRP address, a routed block).

    Attributes:
        cidr: addresses allowed; a single address is a /32 or /128.
        mac: MAC that goes with them; None means the port's own.
    """

    cidr: IPNetwork
    mac: Mac | None = None


@dataclass(frozen=True, slots=True)
class Port:
    """An attachment point of one workload interface.

    Attributes:
        id: ``port-…``; an OVS interface names it in ``external_ids:iface-id``.
        subnet_id: its subnet.
        key: number of this port in flows, 1 … 2**32-1.
        mac: its MAC, unique within the subnet.
        ips: its fixed addresses, one or more per family, all within the subnet's blocks.
        port_security: whether spoofed sources are dropped.
        allowed_pairs: further sources allowed when port security is on.
        admin_up: False cuts it off.
        groups: ids of its security groups, sorted; one that is not there allows nothing, and an
            empty tuple allows nothing at all. None: no group is asked (port security is off).
        checks_addresses: whether it sends and gets only what is from or for its own addresses
            (AWS's source/destination check); False for a workload that forwards others' packets.
        limits: of what it sends and gets; None: unlimited.
    """

    id: str
    subnet_id: str
    key: int
    mac: Mac
    ips: tuple[IPAddress, ...]
    port_security: bool = True
    allowed_pairs: tuple[AddressPair, ...] = ()
    admin_up: bool = True
    groups: tuple[str, ...] | None = None
    checks_addresses: bool = True
    limits: Limits | None = None
