"""Two tenants with the same addresses on three hypervisors: each sees its own and nothing else.

Run as root by Debian's Python: ``python3 -m mininet_labs.two_tenants run``.
"""

import ipaddress
import sys
import time
from typing import Any

from mininet_labs.common import lifecycle
from mininet_labs.common.hypervisor import PYTHON
from mininet_labs.common.processes import Daemons
from mininet_labs.common.reachability import (
    PING,
    Service,
    Services,
    probe_gateways,
    probe_pairs,
    start_probers,
)
from mininet_labs.common.report import Checks, check_matrix, print_matrix, print_topology, say
from mininet_labs.common.rest import Api
from mininet_labs.common.runs import Run
from mininet_labs.common.site import PATIENCE_S, Site
from mininet_labs.common.workloads import Workload

NAME = "two_tenants"
TENANTS = ("red", "blue")
VPC_CIDRS = ["10.0.0.0/16", "fd00:10::/48"]
SUBNETS = {
    "front": {"cidr": "10.0.1.0/24", "ipv6_cidr": "fd00:10:0:1::/64"},
    "back": {"cidr": "10.0.2.0/24", "ipv6_cidr": "fd00:10:0:2::/64"},
}
PLACES = (
    ("host1", "front"),
    ("host2", "front"),
    ("host3", "back"),
    ("host1", "front"),
    ("host2", "back"),
    ("host3", "back"),
)
"""Host and subnet of a tenant's workloads 1, 2, …: every combination of same or other host with
same or other subnet occurs."""

UNSHARED = {4: 200, 6: 200}
"""Workload → last part of its address with the second tenant, which the first tenant has nowhere:
there nobody may answer, while at all other addresses both tenants have somebody."""

TCP: Service = 7770
SERVICES = (PING, TCP)
_WORDS: dict[Services, str] = {
    frozenset(SERVICES): "yes",
    frozenset(): "no",
    frozenset({PING}): "png",
    frozenset({TCP}): "tcp",
}


class TwoTenants:
    """The lab."""

    def __init__(self, run: Run, daemons: Daemons) -> None:
        self._site = Site(run, daemons)
        self._tenants: dict[str, Api] = {}

    def bring_up(self) -> None:
        """Build everything and return when every port is realised."""
        started = time.monotonic()
        site = self._site
        site.start()
        say(f"lab: two tenants with the same addresses, {len(PLACES)} workloads each")
        for tenant in TENANTS:
            self._create_tenant(tenant)
        site.await_ports()
        say(f"lab: up in {time.monotonic() - started:.1f} s")
        print_topology(site.workloads, site.facts())

    def check(self, checks: Checks) -> None:
        """Probe every pair, then delete everything through the API and look for leftovers."""
        workloads = self._site.workloads
        probers = start_probers(workloads, SERVICES, self._site.daemons)
        gateways = probe_gateways(probers, PATIENCE_S)
        sights = probe_pairs(probers, SERVICES, expected, PATIENCE_S)
        print_matrix(workloads, sights, expected, _WORDS.__getitem__, "ping and TCP")
        check_matrix(workloads, sights, SERVICES, expected, checks)
        for (name, address, _), answered in gateways.items():
            checks.expect(answered, f"{name} gets a ping's answer from its gateway {address}")
        self._check_api(checks)
        for prober in probers:
            prober.end()
        self._site.take_down(("ports", "subnets", "vpcs"), checks)

    def describe(self) -> str:
        """Return how to use the lab from a shell."""
        first, last = self._site.workloads[0], self._site.workloads[len(PLACES) - 1]
        return self._site.describe(
            NAME,
            "vpcctl status\n"
            "vpcctl port list\n"
            "vpcctl vpc create mine --cidr 10.7.0.0/16 --tenant me",
            f"{first.name} ping -c 3 {last.addresses[4]}",
        )

    def close(self) -> None:
        """End the hosts."""
        self._site.close()

    def _create_tenant(self, tenant: str) -> None:
        """Create a tenant's network with the tenant's token, and place its ports as the admin."""
        api = self._tenants[tenant] = self._site.tenant(tenant)
        vpc = api.post("/v1/vpcs", {"name": tenant, "cidrs": VPC_CIDRS})
        subnets = {
            name: api.post("/v1/subnets", {"name": name, "vpc_id": vpc["id"], **blocks})
            for name, blocks in SUBNETS.items()
        }
        for number, (label, name) in enumerate(PLACES, start=1):
            subnet, fields = subnets[name], {}
            if tenant == TENANTS[1] and number in UNSHARED:
                fields["fixed_ips"] = _nth_addresses(subnet, UNSHARED[number])
            self._site.create_port(tenant, f"{tenant}-{number}", subnet, label, **fields)

    def _check_api(self, checks: Checks) -> None:
        """Check that each tenant lists its own alone, and finds nothing of the other's."""
        for tenant, api in self._tenants.items():
            listed = {port["name"] for port in api.get("/v1/ports?limit=500")["items"]}
            own = {w.name for w in self._site.workloads if w.tenant == tenant}
            checks.expect(listed == own, f"{tenant} lists its own ports alone")
            for other in self._site.workloads:
                if other.tenant != tenant:
                    status = api.status_of(f"/v1/ports/{other.port_id}")
                    checks.expect(status == 404, f"{other.name}'s port is unknown to {tenant}")


def expected(one: Workload, other: Workload) -> Services:
    """Return what *one* reaches of *other*: within a VPC everything, across nothing."""
    return frozenset(SERVICES) if one.tenant == other.tenant else frozenset()


def _nth_addresses(subnet: dict[str, Any], number: int) -> list[str]:
    blocks = (subnet["cidr"], subnet["ipv6_cidr"])
    return [str(ipaddress.ip_network(block)[number]) for block in blocks]


if __name__ == "__main__":
    if not PYTHON.exists():
        sys.exit(f"lab: {PYTHON} is not there: run `make install` first")
    sys.exit(lifecycle.main(NAME, TwoTenants))
