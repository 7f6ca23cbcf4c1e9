"""Since when an EIP is realised: by what the outside sees of it, and by what hosts reach."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.store.conftest import ADMIN, ON_SQLITE, World
from tests.store.outside import Outside
from tests.store.reporting import link
from tests.store.test_eips import associate, confirm, disassociate, reachable
from vpcctl.services.outside_views import (
    Association,
    EipChange,
    EipView,
    ExternalNetworkCreate,
)
from vpcctl.services.routing_views import NatGatewayChange, NatGatewayCreate
from vpcctl.services.views import LimitValues, PortView
from vpcctl.store.hosts import HOSTS
from vpcctl.store.tables import HostRow
from vpcctl.store.units import present_revision
from vpcctl.wire.report import OutsideFact


@dataclass
class Site:
    """An EIP of a port on ``h1``, which reaches the network, and a gateway host ``gw``."""

    world: World
    outer: Outside
    port: PortView
    eip: EipView

    def now(self) -> int:
        return self.world.database.read(present_revision)

    def settle(self, revision: int | None = None, *, state: str = "in_sync") -> None:
        """Let all hosts confirm a revision: the present one unless another is given."""
        ids = (self.outer.id(name).replace("-", "_") for name in self.outer.agents)
        confirm(self.world, revision or self.now(), **dict.fromkeys(ids, state))

    def look(self) -> tuple[str | None, int | None, str]:
        shown = self.world.services.eips.get(ADMIN, self.eip.meta.id)
        return shown.placement.mode, shown.placement.since_revision, shown.status.state

    def change(self, **values: Any) -> None:
        self.world.services.eips.change(ADMIN, self.eip.meta.id, EipChange(**values))

    def reaches(self, *ways: OutsideFact) -> None:
        """Let ``h1`` report, beside its port, how it reaches external networks."""
        agent = self.outer.agents["h1"]
        agent.facts = agent.facts.model_copy(update={"outside": ways})
        agent.report(link(self.port))


@pytest.fixture
def site(world: World) -> Site:
    outer, vpc = reachable(world)
    subnet = world.subnet(vpc=vpc)
    outer.host("gw")
    outer.host("h1", gateway=False)
    port = world.port(subnet)
    outer.agents["h1"].report(link(port))
    made = Site(world, outer, port, associate(world, outer.eip(), port))
    made.settle()
    return made


def test_a_network_reached_or_lost_has_to_be_confirmed(site: Site) -> None:
    before = site.now()
    for ways, mode in (((), "gateway"), ((site.outer.reached,), "distributed")):
        site.reaches(*ways)
        assert site.now() > before
        site.settle(before, state="pending")
        assert site.look() == (mode, None, "pending")
        concern = site.world.services.status.concern(ADMIN, "eip", site.eip.meta.id)
        assert not site.world.services.status.progress(concern, before).realized
        site.settle()
        assert site.look() == (mode, site.now(), "active")
        before = site.now()


@ON_SQLITE
def test_it_is_reached_through_another_port(site: Site) -> None:
    _, before, _ = site.look()
    site.reaches(site.outer.reached.model_copy(update={"bridge": "br-other"}))
    site.settle()
    assert site.look() == ("distributed", before, "active")
    site.reaches(site.outer.reached.model_copy(update={"ofport": 8}))
    assert site.look() == ("distributed", None, "pending")
    site.settle()
    assert site.look() == ("distributed", site.now(), "active")


@ON_SQLITE
def test_other_networks_are_no_concern(site: Site) -> None:
    before = site.look()
    other = site.world.services.external_networks.create(
        ADMIN, ExternalNetworkCreate("isp", vlan=9, cidr="198.51.100.0/24")
    )
    found = OutsideFact(network_id=other.meta.id, ofport=9, bridge="br-isp")
    site.reaches(site.outer.reached, found)
    site.settle()
    assert site.look() == before
    row = _row(site)
    assert row.reach_revisions[other.meta.id] == row.revision
    # What is gone is not kept.
    site.world.services.external_networks.delete(ADMIN, other.meta.id)
    site.reaches(site.outer.reached)
    assert other.meta.id not in _row(site).reach_revisions


def _row(site: Site) -> HostRow:
    rows: dict[str, HostRow] = site.world.database.read(
        lambda connection: HOSTS.get_many(connection, [site.outer.id("h1")])
    )
    return rows[site.outer.id("h1")]


@ON_SQLITE
def test_a_claim_that_is_believed_later_has_to_be_confirmed(site: Site) -> None:
    outer, world = site.outer, site.world
    outer.tell("gw", providers=("isp", "other"))
    other = world.services.external_networks.create(
        ADMIN, ExternalNetworkCreate("other", cidr="198.51.100.0/24")
    )
    wrong = OutsideFact(network_id=other.meta.id, ofport=9, bridge="br-wrong")
    outer.tell("gw", outside=(outer.reached, wrong))
    site.reaches(outer.reached.model_copy(update={"bridge": "br-wrong"}))
    site.settle()
    assert site.look()[0] == "gateway"
    outer.tell("gw", outside=(outer.reached,))
    assert site.look() == ("distributed", None, "pending")
    site.settle()
    assert site.look() == ("distributed", site.now(), "active")


@ON_SQLITE
def test_a_name_changes_nothing_that_the_outside_sees(site: Site) -> None:
    before, revision = site.look(), site.now()
    site.change(name="new", tags={"a": "b"})
    site.change(limits=None)
    site.change(association=Association(site.port.meta.id))
    site.settle(revision, state="pending")
    assert site.look() == before
    site.change(limits=LimitValues(egress_kbps=1000))
    assert site.look() == ("distributed", None, "pending")
    site.settle()
    limited = site.look()
    assert limited == ("distributed", site.now(), "active")
    site.change(limits=LimitValues(egress_kbps=1000), name="newer")
    assert site.look() == limited
    site.change(limits=None)
    assert site.look() == ("distributed", None, "pending")
    disassociate(site.world, site.eip)
    associate(site.world, site.eip, site.port)
    site.settle()
    assert site.look() == ("distributed", site.now(), "active")


@ON_SQLITE
def test_a_nat_gateway_takes_it_since_then(site: Site) -> None:
    world, vpc_id = site.world, site.port.vpc_id
    first, second = site.outer.eip(), site.outer.eip()
    values = NatGatewayCreate(vpc_id, site.outer.network.meta.id, (first.meta.id,))
    nat = world.services.nat_gateways.create(ADMIN, values)
    site.settle()
    since = site.now()
    both = NatGatewayChange(eip_ids=(first.meta.id, second.meta.id))
    world.services.nat_gateways.change(ADMIN, nat.meta.id, both)
    site.settle()
    for eip, expected in ((first, since), (second, site.now())):
        world.services.eips.change(ADMIN, eip.meta.id, EipChange(name="new"))
        shown = world.services.eips.get(ADMIN, eip.meta.id)
        assert (shown.placement.mode, shown.placement.since_revision) == ("gateway", expected)
