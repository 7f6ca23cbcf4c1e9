"""OVSDB as the agent sees it: frozen rows that come in, and wishes that go out."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class InterfaceRow:
    """An Interface row.

    Attributes:
        uuid: of the row.
        name: of the interface.
        type: ``""`` is a system device.
        ofport: OpenFlow port number; None while OVS has given none or could not.
        error: OVS's error text.
        admin_up: administrative state as OVS sees it.
        oper_up: link state as OVS sees it.
        mac_in_use: MAC of the device, or None.
        external_ids: all of them.
        foreign: it sits on another bridge than br-int.
        alive: BFD on it says that the other side lives, and forwards.
        met: BFD on it is up, whatever the two sides say of themselves.
        refuses: BFD on it tells the other side not to rely on this one.
        lost: OVS says that it has no link, is down, or cannot be opened; not so while OVS has not
            said anything.
    """

    uuid: str
    name: str
    type: str = ""
    ofport: int | None = None
    error: str | None = None
    admin_up: bool = False
    oper_up: bool = False
    mac_in_use: str | None = None
    external_ids: dict[str, str] = field(default_factory=dict[str, str])
    foreign: bool = False
    alive: bool = False
    met: bool = False
    refuses: bool = False
    lost: bool = False


@dataclass(frozen=True, slots=True)
class BridgeRow:
    """A Bridge row: what the agent needs of it.

    Attributes:
        name: of the bridge.
        datapath_type: as it is set, empty for the kernel's.
        dpid: its datapath id, once there is one.
        external_ids: all of them.
        ports: names of its ports.
        interfaces: names of their interfaces: a bond has several.
    """

    name: str
    datapath_type: str
    dpid: int | None
    external_ids: dict[str, str]
    ports: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ControllerWish:
    """A Controller row; see ``Controller`` in ovs-vswitchd.conf.db(5)."""

    target: str
    inactivity_probe_ms: int = 5000
    max_backoff_ms: int = 1000


@dataclass(frozen=True, slots=True)
class PortWish:
    """A port with one interface of the same name.

    Attributes:
        name: of both.
        type: of the interface.
        options: all of them (others are removed).
        external_ids: what must be there on the interface (others are left alone).
        ofport_request: OpenFlow port number to ask for; None leaves it to ovs-vswitchd.
        tag: VLAN of an access port, 0 is what has no tag; None: a trunk of everything.
        bfd: settings of BFD, all of them (others are removed); empty: no BFD.
        owner: host id, written to both rows.
    """

    name: str
    owner: str
    type: str = ""
    options: dict[str, str] = field(default_factory=dict[str, str])
    external_ids: dict[str, str] = field(default_factory=dict[str, str])
    ofport_request: int | None = None
    tag: int | None = None
    bfd: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class BridgeWish:
    """A bridge with the ports that it must have (others are left alone).

    Attributes:
        controllers: exactly these; None leaves the controllers alone.
        other_config: keys that must have these values (others are left alone).
        external_ids: likewise.
        flood_vlans: VLANs in which MACs are not learned; none leaves them alone.
    """

    name: str
    owner: str
    datapath_type: str
    fail_mode: Literal["secure", "standalone"]
    protocols: tuple[str, ...] = ()
    other_config: dict[str, str] = field(default_factory=dict[str, str])
    external_ids: dict[str, str] = field(default_factory=dict[str, str])
    controllers: tuple[ControllerWish, ...] | None = None
    ports: tuple[PortWish, ...] = ()
    flood_vlans: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PlugWish:
    """A port on a bridge that exists."""

    bridge: str
    port: PortWish


@dataclass(frozen=True, slots=True)
class UnplugWish:
    """No port of this name with our mark on this bridge; a foreign one is left alone."""

    bridge: str
    name: str
    owner: str


@dataclass(frozen=True, slots=True)
class IfaceIdWish:
    """An iface-id on an interface that somebody else plugged; None takes ours away.

    Attributes:
        named_by: value of the mark that goes with it (``marks.NAMED_KEY``).
    """

    interface: str
    port_id: str | None
    mac: str | None
    named_by: str


@dataclass(frozen=True, slots=True)
class ReleaseWish:
    """Nothing of ours on this bridge; the bridge goes too when we made it and it is empty."""

    bridge: str
    owner: str


@dataclass(frozen=True, slots=True)
class SslWish:
    """Key, certificate and CA that ``ssl:`` controller targets need (files ovs-vswitchd reads)."""

    private_key: str
    certificate: str
    ca_cert: str
    owner: str


Wish = BridgeWish | PlugWish | UnplugWish | IfaceIdWish | ReleaseWish | SslWish
