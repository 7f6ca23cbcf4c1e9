"""Host state and settings → what br-int must be."""

from dataclasses import dataclass

from agent.decide import marks
from agent.decide.rows import BridgeWish, ControllerWish, PortWish
from agent.wire.state import HostState
from vpcctl.model.host import GUEST_SERVICE_OFPORT, STAND_OFPORT
from vpcctl.model.names import NAMES_OFPORT

PROTOCOLS = ("OpenFlow13", "OpenFlow14", "OpenFlow15")


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """What the host itself decides about br-int.

    Attributes:
        name: of the bridge.
        datapath_type: ``system`` or ``netdev``.
        vtep_address: local end of the tunnels; None while it is unknown.
        vxlan_port: UDP port of VXLAN.
        stands: whether the host may be a gateway host: it has ways to external networks.
    """

    name: str
    datapath_type: str
    vtep_address: str | None
    vxlan_port: int = 4789
    stands: bool = False


def tunnel_port(settings: BridgeSettings, owner: str) -> PortWish:
    """Return the flow-based VXLAN port: destination and VNI come from the flows.

    ``df_default`` keeps DF set on the outer header, so that an underlay that is too small
    shows as a loss that path MTU discovery finds instead of as silent fragments.
    """
    options = {"remote_ip": "flow", "key": "flow", "df_default": "true"}
    options["dst_port"] = str(settings.vxlan_port)
    if settings.vtep_address:
        options["local_ip"] = settings.vtep_address
    return PortWish(marks.TUNNEL, owner, type="vxlan", options=options)


def guests_port(owner: str) -> PortWish:
    """Return the internal port through which the agent answers guests; flows know its number."""
    return PortWish(marks.GUESTS, owner, type="internal", ofport_request=GUEST_SERVICE_OFPORT)


def stand_port(owner: str) -> PortWish:
    """Return the internal port that says to flows if this host may be the active gateway host."""
    return PortWish(marks.STANDS, owner, type="internal", ofport_request=STAND_OFPORT)


def services_port(owner: str) -> PortWish:
    """Return br-int's end of the pair to the sockets for names; Open vSwitch waits for it."""
    return PortWish(marks.SERVICES, owner, ofport_request=NAMES_OFPORT)


def integration_bridge(state: HostState, settings: BridgeSettings) -> BridgeWish:
    """Return br-int: secure (no flow, no traffic), out of band, with an explicit datapath id."""
    return BridgeWish(
        name=settings.name,
        owner=state.host_id,
        datapath_type=settings.datapath_type,
        fail_mode="secure",
        protocols=PROTOCOLS,
        other_config={"disable-in-band": "true", "datapath-id": f"{state.dpid:016x}"},
        controllers=tuple(ControllerWish(target) for target in state.openflow_targets),
        ports=(
            tunnel_port(settings, state.host_id),
            guests_port(state.host_id),
            *((stand_port(state.host_id),) if settings.stands else ()),
        ),
    )
