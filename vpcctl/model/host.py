"""A host: a machine that runs Open vSwitch and the agent."""

from dataclasses import dataclass

from vpcctl.model.addresses import IPAddress


@dataclass(frozen=True, slots=True)
class Host:
    """A machine with a br-int.

    Attributes:
        id: ``host-…``.
        key: small number, 1 … 2**16-1.
        dpid: the OpenFlow datapath id of its br-int, set by the agent as told by the controller.
        vtep: address of its VXLAN endpoint; None until its first report.
        tunnel_ofport: ofport of its VXLAN port as last reported; None until known.
        nd_extensions: its datapath can rewrite ND options (userspace datapath), so flows can
            answer neighbour solicitations for gateways.
    """

    id: str
    key: int
    dpid: int
    vtep: IPAddress | None = None
    tunnel_ofport: int | None = None
    nd_extensions: bool = True
