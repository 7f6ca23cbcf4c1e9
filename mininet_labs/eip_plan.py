"""Who is where in the lab of the world outside, and what its steps share."""

from dataclasses import dataclass, field

from mininet_labs.common import internet
from mininet_labs.common.internet import eip_of
from mininet_labs.common.outside import Pinger, Visitor
from mininet_labs.common.rest import Api
from mininet_labs.common.site import Site
from mininet_labs.common.workloads import Workload

RED, BLUE = "red", "blue"
REACH = ("host1", "host2")
"""Hosts with a cable to the provider's network; gateways may be placed on them."""
BLOCKS = {
    "red": {"cidr": "10.0.1.0/24", "ipv6_cidr": "2001:db8:10:1::/64"},
    "red-too": {"cidr": "10.0.2.0/24", "ipv6_cidr": "fd00:10:0:2::/64"},
    "red-nat": {"cidr": "10.0.3.0/24", "ipv6_cidr": "fd00:10:0:3::/64"},
    "blue": {"cidr": "10.0.1.0/24", "ipv6_cidr": "fd00:20:0:1::/64"},
    "blue-nat": {"cidr": "10.0.3.0/24", "ipv6_cidr": "fd00:20:0:3::/64"},
}
"""Subnets. The same addresses on purpose: the world must not notice."""
VPC_CIDRS = {
    RED: ["10.0.0.0/16", "fd00:10::/48", "2001:db8:10::/48"],
    BLUE: ["10.0.0.0/16", "fd00:20::/48"],
}
PLACES = {
    "red-1": ("red", "host1"),
    "red-2": ("red", "host3"),
    "red-3": ("red", "host1"),
    "red-4": ("red-too", "host2"),
    "blue-1": ("blue", "host3"),
    "red-5": ("red-nat", "host2"),
    "blue-2": ("blue-nat", "host1"),
    "blue-3": ("blue-nat", "host3"),
}
"""Workload → its subnet and host."""


@dataclass
class Stage:
    """Where the steps happen.

    Attributes:
        site: the hosts and the provider's network.
        tenants: each with its API.
        visitors: who talks, by workload; outside is one, too.
        pingers: who speaks ICMP, likewise.
    """

    site: Site
    tenants: dict[str, Api] = field(default_factory=dict)
    visitors: dict[str, Visitor] = field(default_factory=dict)
    pingers: dict[str, Pinger] = field(default_factory=dict)

    def start(self) -> None:
        """Start who talks, everywhere."""
        for workload in (self.site.outside.as_workload(), *self.site.workloads):
            self.visitors[workload.name] = Visitor(workload, self.site.daemons)
            self.pingers[workload.name] = Pinger(workload, self.site.daemons)
        for script in (*self.visitors.values(), *self.pingers.values()):
            script.wait()
        for visitor in self.visitors.values():
            visitor.listen(internet.PORT)

    def end(self) -> None:
        """End them, so that their namespaces are nobody's any more."""
        for script in (*self.visitors.values(), *self.pingers.values()):
            script.end()

    def address(self, owner: str) -> str:
        """Return the EIP that is named after a tenant or a workload."""
        found = (eip for api in self.tenants.values() for eip in api.get("/v1/eips")["items"])
        return next(eip["address"] for eip in found if eip["name"] == eip_of(owner))

    def workload(self, name: str) -> Workload:
        """Return the workload of this name."""
        return next(one for one in self.site.workloads if one.name == name)
