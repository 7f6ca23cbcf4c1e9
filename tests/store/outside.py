"""What tests of the world outside make most: a network, EIPs, and hosts that reach it."""

from dataclasses import dataclass, field
from typing import Any

from tests.store.conftest import ADMIN, World
from tests.store.reporting import Agent
from vpcctl.services.outside_views import (
    EipCreate,
    EipView,
    ExternalNetworkCreate,
    ExternalNetworkView,
    InternetGatewayCreate,
    InternetGatewayView,
)
from vpcctl.services.routing_views import NatGatewayCreate, NatGatewayView
from vpcctl.services.views import HostCreate, VpcView
from vpcctl.wire.report import OutsideFact, WatchFact

PROVIDER = "isp"


@dataclass
class Outside:
    """An external network and the agents of the hosts that reach it, by name."""

    world: World
    network: ExternalNetworkView
    agents: dict[str, Agent] = field(default_factory=dict)

    def host(self, name: str, zone: str | None = None, *, gateway: bool = True) -> str:
        """Make a host that reaches the network; return its id."""
        values = HostCreate(name, availability_zone=zone, gateway=gateway)
        made = self.world.services.hosts.create(ADMIN, values)
        number = len(self.agents) + 1
        self.agents[name] = Agent(self.world, made, f"192.0.2.{number}")
        self.tell(name, providers=(PROVIDER,), outside=(self.reached,))
        return made.meta.id

    @property
    def reached(self) -> OutsideFact:
        """What a host says that reaches the network."""
        return OutsideFact(network_id=self.network.meta.id, ofport=7, bridge="br-isp")

    def tell(self, name: str, **more: Any) -> None:
        """Let a host report other facts than before."""
        agent = self.agents[name]
        agent.facts = agent.facts.model_copy(update=more)
        agent.report()

    def says(self, name: str, **lives: bool) -> None:
        """Let a host report which others live."""
        self.tell(name, watches=self.watching(**lives))

    def watching(self, **lives: bool) -> tuple[WatchFact, ...]:
        """What a host says of the others that it watches."""
        return tuple(
            WatchFact(host_id=self.id(other), ofport=10 + place, up=is_up)
            for place, (other, is_up) in enumerate(sorted(lives.items()))
        )

    def id(self, name: str) -> str:
        return self.agents[name].host.meta.id

    def names(self, host_ids: tuple[str, ...]) -> list[str]:
        by_id = {agent.host.meta.id: name for name, agent in self.agents.items()}
        return [by_id[id] for id in host_ids]

    def eip(self, **more: Any) -> EipView:
        values = EipCreate(self.network.meta.id, **{"tenant_id": "red", **more})
        return self.world.services.eips.create(ADMIN, values)

    def internet(self, vpc: VpcView) -> InternetGatewayView:
        values = InternetGatewayCreate(vpc.meta.id, self.network.meta.id)
        return self.world.services.internet_gateways.create(ADMIN, values)

    def nat(self, vpc: VpcView, *eips: EipView) -> NatGatewayView:
        chosen = tuple(eip.meta.id for eip in eips or (self.eip(),))
        values = NatGatewayCreate(vpc.meta.id, self.network.meta.id, chosen)
        return self.world.services.nat_gateways.create(ADMIN, values)


def outside(world: World, cidr: str = "203.0.113.0/24", **more: Any) -> Outside:
    """Make an external network with a pool of sixteen addresses."""
    base = cidr.rpartition(".")[0]
    values = ExternalNetworkCreate(
        **{"provider": PROVIDER, "cidr": cidr, "gateway": f"{base}.1", **more},
        pools=(f"{base}.16/28",),
    )
    return Outside(world, world.services.external_networks.create(ADMIN, values))
