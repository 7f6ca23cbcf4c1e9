"""Many hosts that reach an external network, and as many EIPs as are asked for."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import cpu
from bench.outside import PROVIDER
from bench.rest import Api
from bench.simulated.cloud import ADMIN, PORTS_PER_VPC, Cloud, Vpc
from bench.systems.ours import CREATING
from bench.waiting import TooLongError
from vpcctl.services.facade import Services
from vpcctl.services.outside_views import (
    EipCreate,
    ExternalNetworkCreate,
    InternetGatewayCreate,
)
from vpcctl.services.routing_views import RouteTableChange, RouteWanted
from vpcctl.services.views import Listing

_NETWORK = ExternalNetworkCreate(
    PROVIDER, cidr="198.18.0.0/16", gateway="198.18.0.1", pools=("198.18.16.0-198.18.127.255",)
)
_PATIENCE_S, _CONVERGENCE_S = 30.0, 600.0


class EipCloud(Cloud):
    """A cloud whose hosts all reach an external network.

    Its last VPC has a hundred ports without EIPs, and one EIP to associate with them.

    Args:
        directory: for everything on disk.
        hosts: number of hosts.
        most: for how many EIPs the other VPCs have ports; a multiple of those of a VPC.
    """

    def __init__(self, directory: Path, hosts: int, most: int) -> None:
        super().__init__(directory, hosts, hosts + most + PORTS_PER_VPC)
        self._eips = 0
        self._network = ""
        self._spare = ""

    def seed_more(self, services: Services) -> None:
        """Make the external network and a way to it from every VPC."""
        self._network = services.external_networks.create(ADMIN, _NETWORK).meta.id
        for host in self.hosts:
            host.network = self._network
        for vpc in self.vpcs:
            self._lead_outside(services, vpc)
        values = EipCreate(self._network, tenant_id=self.vpcs[-1].tenant_id)
        self._spare = services.eips.create(ADMIN, values).meta.id

    def _lead_outside(self, services: Services, vpc: Vpc) -> None:
        ends = InternetGatewayCreate(vpc.id, self._network)
        gateway = services.internet_gateways.create(ADMIN, ends).meta.id
        tables = services.route_tables.list(ADMIN, Listing(filters={"vpc_id": vpc.id})).items
        change = RouteTableChange(routes=(RouteWanted("0.0.0.0/0", (gateway,)),))
        services.route_tables.change(ADMIN, tables[0].meta.id, change)

    def grow(self, eips: int) -> None:
        """Bring the number of ports with an EIP to *eips*, through the API; wait for the hosts."""
        ports = [(vpc, port) for vpc in self.vpcs[1:-1] for port in vpc.ports]
        wanted = ports[self._eips : eips]
        lines = [self.connect() for _ in range(CREATING)]

        def some(line: int) -> None:
            for vpc, port in wanted[line::CREATING]:
                self._give(lines[line], vpc, port)

        with ThreadPoolExecutor(CREATING) as pool:
            list(pool.map(some, range(CREATING)))
        for line in lines:
            line.close()
        self._eips = eips
        self.await_convergence(_CONVERGENCE_S)
        self.await_rest()

    def _give(self, line: Api, vpc: Vpc, port: str) -> None:
        body = {"external_network_id": self._network, "tenant_id": vpc.tenant_id}
        eip = line.call("POST", "/v1/eips", body)["id"]
        line.call("PUT", f"/v1/eips/{eip}/association", {"port_id": port})

    def associate(self) -> tuple[float, float, float]:
        """Associate the spare EIP with some port, and take it back.

        Returns:
            Milliseconds from the call to the last commit of the port's host; CPU seconds of the
            controller until all was quiet; the seconds that that took.

        Raises:
            TooLongError: the host committed nothing.
        """
        vpc = self.vpcs[-1]
        place = random.randrange(len(vpc.ports))
        path = f"/v1/eips/{self._spare}/association"
        self.ask({"op": "mark", "concerned": [vpc.hosts[place % len(vpc.hosts)]]})
        before, start = cpu.total(self.pids()), time.monotonic()
        self.api.call("PUT", path, {"port_id": vpc.ports[place]})
        committed = self.ask({"op": "committed", "timeout": _PATIENCE_S})["at"]
        used, took = cpu.total(self.pids()) - before, time.monotonic() - start
        self.api.call("DELETE", path)
        self.await_rest()
        if committed is None:
            raise TooLongError("the host of an EIP's port committed nothing")
        return (committed - start) * 1000, used, took
