"""What NAT gateways' active hosts have counted: connections, ports in use, failures."""

from collections.abc import Mapping, Sequence
from typing import Any

from vpcctl.services.routing_views import (
    EipOfGateway,
    GatewayHostsView,
    NatCountersView,
    PortsInUse,
)
from vpcctl.store import nat_gateways
from vpcctl.store.nat_gateways import Counted


def of(
    connection: Any,
    eips: Mapping[str, Sequence[EipOfGateway]],
    places: Mapping[str, GatewayHostsView],
) -> dict[str, NatCountersView]:
    """Return the counters of NAT gateways whose active hosts have reported some, by gateway id.

    Args:
        connection: of the transaction.
        eips: of each gateway.
        places: where each gateway is. What another host than the active one says does not count.
    """
    active = {id: place.active_host_id for id, place in places.items()}
    hosts = {host_id for host_id in active.values() if host_id is not None}
    said = nat_gateways.counts_of(connection, sorted(hosts))
    known = {id: said.get((host_id or "", id)) for id, host_id in active.items()}
    return {id: _view(one, eips[id]) for id, one in known.items() if one is not None}


def _view(counted: Counted, eips: Sequence[EipOfGateway]) -> NatCountersView:
    counts = counted.counts
    ports = counts["ports"]
    if ports is not None:
        by_address = {one["address"]: one["ports"] for one in ports}
        ports = tuple(PortsInUse(eip, by_address.get(str(eip.address), 0)) for eip in eips)
    return NatCountersView(counts["connections"], ports, counts["failures"], counted.at)
