"""A pretended agent: it numbers its reports as a real one does."""

import hashlib

from tests.store.conftest import ADMIN, World
from vpcctl.services.views import HostView, PortView
from vpcctl.wire.report import HostFacts, Link, LinkCounters, LinkReport, ReportAnswer, digest


def facts(vtep: str = "192.0.2.1", **more) -> HostFacts:
    values = {"datapath_type": "netdev", "nd_extensions": True, "tunnel_ofport": 1, **more}
    return HostFacts(vtep_address=vtep, **values)


def link(port: PortView | str, ofport: int | None = 5, uuid: str = "u1", **more) -> Link:
    port_id = port if isinstance(port, str) else port.meta.id
    values = {"interface": f"tap{port_id[-6:]}", **more}
    return Link(port_id=port_id, ofport=ofport, interface_uuid=uuid, **values)


class Agent:
    """Reports for one host."""

    def __init__(self, world: World, host: HostView, vtep: str = "192.0.2.1") -> None:
        self.world, self.host, self.facts = world, host, facts(vtep)
        self.id = hashlib.md5(host.meta.id.encode()).hexdigest()  # noqa: S324
        self.boot, self.sequence, self.state_revision = 1, 0, 0

    def make(self, *links: Link, full: bool = True) -> LinkReport:
        self.sequence += 1
        return LinkReport(
            agent_id=self.id,
            boot=self.boot,
            sequence=self.sequence,
            digest=digest(self.facts, links),
            state_revision=self.state_revision,
            facts=self.facts if full else None,
            links=links if full else None,
        )

    def change(self, before: tuple[Link, ...], after: tuple[Link, ...]) -> LinkReport:
        """Return what makes *after* of *before*, of which the controller is believed to know."""
        self.sequence += 1
        return LinkReport(
            agent_id=self.id,
            boot=self.boot,
            sequence=self.sequence,
            digest=digest(self.facts, after),
            state_revision=self.state_revision,
            base=digest(self.facts, before),
            links=tuple(link for link in after if link not in before),
            gone=tuple({link.port_id for link in before} - {link.port_id for link in after}),
        )

    def send(self, report: LinkReport) -> ReportAnswer:
        answer = self.world.services.reports.accept(ADMIN, self.host.meta.id, report)
        if answer.state is not None:
            self.state_revision = answer.state.revision
        return answer

    def report(self, *links: Link, full: bool = True) -> ReportAnswer:
        return self.send(self.make(*links, full=full))


def counted(link: Link, packets: int) -> Link:
    return link.model_copy(update={"counters": LinkCounters(rx_packets=packets)})
