"""Host state: what the controller wants one host to be and to have. The agent makes it so."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from vpcctl.model import ids


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class InterfaceAddress(_Wire):
    """A fixed address of a port with its subnet's prefix length and gateway."""

    address: str
    prefix_length: Annotated[int, Field(ge=0, le=128)]
    gateway: str | None = None


class Attachment(_Wire):
    """A port that the API asked to be attached on this host.

    Attributes:
        port_id: the port.
        kind: ``namespace``: the agent makes a veth pair into a network namespace that it
            creates when absent; ``interface``: somebody else plugs an OVS interface, the agent
            only sets iface-id on the named one when it exists.
        interface: name inside the namespace (``namespace``) or of the OVS interface.
        netns: name of the namespace; None for ``interface``.
        mac: MAC to set.
        addresses: addresses to set, with the gateway for the default route.
        mtu: MTU to set, bytes.
        admin_up: whether the link is up.
    """

    port_id: Annotated[str, Field(pattern=ids.PATTERNS["port"])]
    kind: Literal["namespace", "interface"]
    interface: str
    netns: str | None = None
    mac: str
    addresses: tuple[InterfaceAddress, ...]
    mtu: int
    admin_up: bool = True


class Peer(_Wire):
    """Another host's VXLAN endpoint, so that the tunnel's neighbour can be resolved early."""

    host_id: str
    vtep_address: str


class Settings(_Wire):
    """Settings of an agent that the controller decides."""

    report_interval_s: Annotated[float, Field(gt=0, le=3600)] = 5.0


class HostState(_Wire):
    """Everything that one host has to do, at a revision.

    Attributes:
        revision: database revision of the newest thing in it.
        host_id: the host.
        name: its name.
        dpid: datapath id for its br-int.
        openflow_targets: OVSDB controller targets for br-int, such as
            ``tcp:127.0.0.1:6653``, ``ssl:192.0.2.1:6653`` or ``unix:/run/vpcctl/of.sock``.
        settings: agent settings.
        attachments: what to attach, sorted by port id.
        peers: the other hosts' VTEPs, sorted by host id.
        released: ports that the host has an interface for and that are not on it (any more):
            deleted, or on another host; sorted. Once the host's switch has confirmed the
            state's revision, no flow of theirs is left here.
    """

    revision: int
    host_id: str
    name: str
    dpid: int
    openflow_targets: tuple[str, ...]
    settings: Settings = Settings()
    attachments: tuple[Attachment, ...] = ()
    peers: tuple[Peer, ...] = ()
    released: tuple[str, ...] = ()
