"""Ports as the API shows and takes them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas import port_metadata as metadata
from api.schemas.common import (
    Address,
    Cidr,
    Description,
    Input,
    Name,
    Output,
    PageOut,
    ResourceOut,
    Tags,
    changes,
    id_field,
    no_id_of,
    render_meta,
)
from api.schemas.dhcp_options import OptionsIn, OptionsOut, render_options
from api.schemas.limits import LimitsIn, LimitsOut, limits_field, render_limits, to_values
from vpcctl.model.addresses import format_mac
from vpcctl.services.views import (
    AttachmentView,
    ClaimView,
    OutsideView,
    PortChange,
    PortCreate,
    PortView,
)

_MAC_PATTERN = "^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$"
_MacText = Annotated[str, Field(max_length=17)]
_Interface = Annotated[str, Field(min_length=1, max_length=15)]
_Netns = Annotated[str, Field(min_length=1, max_length=64)]
_HostId = Annotated[str, Field(max_length=64)]
_FixedIps = Annotated[
    list[Address],
    Field(
        max_length=64,
        description="Addresses within the subnet's blocks. A family of the subnet that none is "
        "given for gets one allocated.",
        examples=[["10.0.1.20", "fd00:10:0:1::20"]],
    ),
]
_AdminUp = Annotated[bool, Field(description="False cuts the port off.", examples=[True])]
_SourceDestCheck = Annotated[
    bool,
    Field(
        description="Whether it may only send and get what is from or for its own addresses; false "
        "for a workload that forwards what is others'.",
        examples=[True],
    ),
]
_PortSecurity = Annotated[
    bool,
    Field(
        description="Whether spoofed sources are dropped and security groups asked.",
        examples=[True],
    ),
]
_Groups = Annotated[
    list[Annotated[str, Field(max_length=64)]],
    Field(
        max_length=16,
        description="Security groups of its VPC that it is in, none twice; in none, nothing "
        "passes.",
        examples=[["sg-0a1b2c3d4e5f60718"]],
    ),
]

_Name = Annotated[Name, no_id_of("port")]


class PairIn(Input):
    """A further source that the port may use."""

    cidr: Cidr = Field(
        description="Addresses allowed; a single one is a /32 or /128.", examples=["10.0.1.100/32"]
    )
    mac_address: _MacText | None = Field(
        default=None,
        description="MAC that goes with them; null means the port's own.",
        examples=["0e:00:00:00:01:64"],
        json_schema_extra={"pattern": _MAC_PATTERN},
    )


class AttachmentIn(Input):
    """How and where the port is to be attached."""

    kind: Literal["namespace", "interface"] = Field(
        description="`namespace`: the agent makes a veth into a network namespace; `interface`: "
        "somebody plugs an OVS interface whose iface-id is the port's id.",
        examples=["namespace"],
    )
    host_id: _HostId | None = Field(
        default=None,
        description="The host that may have it; null: any host may plug it.",
        examples=["host-0a1b2c3d4e5f60718"],
    )
    interface: _Interface | None = Field(
        default=None,
        description="Interface name: inside the namespace, or of the OVS interface.",
        examples=["eth0"],
    )
    netns: _Netns | None = Field(
        default=None, description="Name of the network namespace.", examples=["web-1"]
    )

    def to_view(self) -> AttachmentView:
        """Return the service's value."""
        return AttachmentView(self.kind, self.host_id, self.interface, self.netns)


_Pairs = Annotated[
    list[PairIn],
    Field(
        max_length=32,
        description="Further sources allowed when port security is on.",
        examples=[[{"cidr": "10.0.1.100/32", "mac_address": None}]],
    ),
]


def _mac_field() -> Any:
    return Field(
        default=None,
        description="Unicast MAC, unique within the subnet; one is made by default.",
        examples=["0e:00:00:00:01:14"],
        json_schema_extra={"pattern": _MAC_PATTERN},
    )


def _attachment_field() -> Any:
    return Field(
        default=None,
        description="How and where it is to be attached; null: not yet.",
        examples=[
            {
                "kind": "namespace",
                "host_id": "host-0a1b2c3d4e5f60718",
                "interface": "eth0",
                "netns": "web-1",
            }
        ],
    )


def _dhcp_field() -> Any:
    return Field(
        default=None,
        description="DHCP options of this port alone, in place of its VPC's; null: none.",
        examples=[{"domain_name": "shop.internal"}],
    )


def _pairs(pairs: list[PairIn]) -> tuple[tuple[str, str | None], ...]:
    return tuple((pair.cidr, pair.mac_address) for pair in pairs)


class PortIn(Input):
    """A new port."""

    subnet_id: str = Field(
        max_length=64, description="The subnet it is in.", examples=["subnet-0a1b2c3d4e5f60718"]
    )
    mac_address: _MacText | None = _mac_field()
    fixed_ips: _FixedIps = Field(default_factory=list)
    port_security: _PortSecurity = True
    security_groups: _Groups | None = Field(
        default=None,
        description="Security groups of its VPC that it is in; null: the VPC's default group, "
        "or none when port security is off.",
        examples=[["sg-0a1b2c3d4e5f60718"]],
    )
    allowed_address_pairs: _Pairs = Field(default_factory=list)
    admin_up: _AdminUp = True
    attachment: AttachmentIn | None = _attachment_field()
    dhcp_options: OptionsIn | None = _dhcp_field()
    user_data: metadata.UserData | None = metadata.user_data_field()
    public_keys: metadata.PublicKeys = Field(default_factory=list)
    metadata_tokens: metadata.Tokens = "optional"
    source_dest_check: _SourceDestCheck = True
    limits: LimitsIn | None = limits_field("through the port")
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_create(self) -> PortCreate:
        """Return the service's value."""
        return PortCreate(
            subnet_id=self.subnet_id,
            mac=self.mac_address,
            fixed_ips=tuple(self.fixed_ips),
            port_security=self.port_security,
            security_groups=None if self.security_groups is None else tuple(self.security_groups),
            allowed_address_pairs=_pairs(self.allowed_address_pairs),
            admin_up=self.admin_up,
            attachment=None if self.attachment is None else self.attachment.to_view(),
            dhcp_options=None if self.dhcp_options is None else self.dhcp_options.to_options(),
            metadata=metadata.change_of(changes(self)),
            source_dest_check=self.source_dest_check,
            limits=to_values(self.limits),
            name=self.name,
            description=self.description,
            tags=self.tags,
        )


class PortPatch(Input):
    """A partial change of a port; absent fields stay, lists are the whole new list."""

    mac_address: _MacText = Field(
        default="",
        description="Unicast MAC, unique within the subnet.",
        examples=["0e:00:00:00:01:14"],
        json_schema_extra={"pattern": _MAC_PATTERN},
    )
    fixed_ips: _FixedIps = Field(default_factory=list)
    port_security: _PortSecurity = True
    security_groups: _Groups = Field(default_factory=list)
    allowed_address_pairs: _Pairs = Field(default_factory=list)
    admin_up: _AdminUp = True
    attachment: AttachmentIn | None = _attachment_field()
    dhcp_options: OptionsIn | None = _dhcp_field()
    user_data: metadata.UserData | None = metadata.user_data_field()
    public_keys: metadata.PublicKeys = Field(default_factory=list)
    metadata_tokens: metadata.Tokens = "optional"
    source_dest_check: _SourceDestCheck = True
    limits: LimitsIn | None = limits_field("through the port")
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_change(self) -> PortChange:
        """Return the service's value."""
        given = changes(self)
        if "mac_address" in given:
            given["mac"] = given.pop("mac_address")
        if "allowed_address_pairs" in given:
            given["allowed_address_pairs"] = _pairs(self.allowed_address_pairs)
        if self.attachment is not None:
            given["attachment"] = self.attachment.to_view()
        if self.dhcp_options is not None:
            given["dhcp_options"] = self.dhcp_options.to_options()
        given["metadata"] = metadata.change_of(given)
        if self.limits is not None:
            given["limits"] = self.limits.to_values()
        return PortChange(**given)


class PairOut(Output):
    """A further source that the port may use."""

    cidr: str = Field(description="Addresses allowed.", examples=["10.0.1.100/32"])
    mac_address: str | None = Field(
        description="MAC that goes with them; null means the port's own.",
        examples=["0e:00:00:00:01:64"],
    )


class AttachmentOut(Output):
    """How and where the port is to be attached."""

    kind: Literal["namespace", "interface"] = Field(
        description="Who makes the interface: the agent, or somebody else.",
        examples=["namespace"],
    )
    host_id: str | None = Field(
        description="The host that may have it; null: any.", examples=["host-0a1b2c3d4e5f60718"]
    )
    interface: str | None = Field(description="Interface name.", examples=["eth0"])
    netns: str | None = Field(description="Network namespace.", examples=["web-1"])


class ClaimOut(Output):
    """One host's claim to the port, from its link reports."""

    host_id: str = id_field("host", "The host that reports the interface.")
    state: Literal["won", "lost", "refused", "waiting"] = Field(
        description="won; lost to a newer claim; refused: the attachment names another host, "
        "or the ofport is above 32767; waiting: Open vSwitch has given no port number.",
        examples=["won"],
    )
    claimed_revision: int = Field(
        description="When the claim first appeared; the newest allowed one wins.", examples=[1040]
    )
    reported_at: datetime = Field(
        description="When it was last reported with news (RFC 3339, UTC).",
        examples=["2026-01-31T12:00:00Z"],
    )
    link: dict[str, Any] = Field(
        description="The link as reported, counters included.",
        examples=[{"interface": "tap0", "ofport": 5, "oper_up": True}],
    )


class OutsideOut(Output):
    """A global IPv6 address of a port, and where it is realised."""

    address: str = Field(description="The address.", examples=["2001:db8:10:1::20"])
    internet_gateway_id: str = id_field(
        "igw", "The internet gateway that the outside reaches it by."
    )
    mode: Literal["distributed", "gateway"] | None = Field(
        description="distributed: on the port's host, which reaches the external network; gateway: "
        "on a gateway host; null: nowhere.",
        examples=["distributed"],
    )
    host_id: str | None = Field(
        description="The host that answers for it, or null.", examples=["host-0a1b2c3d4e5f60718"]
    )
    since_revision: int | None = Field(
        description="Revision since which it does; null: that host has not confirmed it yet.",
        examples=[1042],
    )
    reason: str | None = Field(
        description="Why it is realised nowhere; null: it is.", examples=[None]
    )


class PortOut(ResourceOut):
    """A port: where a workload meets its subnet."""

    id: str = id_field("port", "Id of the port; an OVS interface names it as its iface-id.")
    subnet_id: str = id_field("subnet", "The subnet it is in.")
    vpc_id: str = id_field("vpc", "The VPC it is in.")
    mac_address: str = Field(description="Its MAC.", examples=["0e:00:00:00:01:14"])
    fixed_ips: list[str] = Field(
        description="Its addresses.", examples=[["10.0.1.20", "fd00:10:0:1::20"]]
    )
    port_security: bool = Field(
        description="Whether spoofed sources are dropped and security groups asked.",
        examples=[True],
    )
    security_groups: list[str] | None = Field(
        description="Security groups that it is in; null when port security is off.",
        examples=[["sg-0a1b2c3d4e5f60718"]],
    )
    allowed_address_pairs: list[PairOut] = Field(
        description="Further sources allowed.",
        examples=[[{"cidr": "10.0.1.100/32", "mac_address": None}]],
    )
    admin_up: bool = Field(description="False: cut off.", examples=[True])
    attachment: AttachmentOut | None = Field(
        description="How and where it is to be attached; null: not yet.", examples=[None]
    )
    host_id: str | None = Field(
        description="The host where it is now; null: nowhere.",
        examples=["host-0a1b2c3d4e5f60718"],
    )
    claims: list[ClaimOut] = Field(
        description="Every host's claim to it, the winner first.", examples=[[]]
    )
    mtu: int = Field(description="MTU for the workload, bytes.", examples=[1450])
    dhcp_options: OptionsOut | None = Field(
        description="DHCP options of this port alone; null: its VPC's.", examples=[None]
    )
    user_data: str | None = Field(
        description="User data of its guest, in base64; null: none.", examples=[None]
    )
    public_keys: list[str] = Field(description="SSH keys that its guest is told.", examples=[[]])
    metadata_tokens: metadata.Tokens

    source_dest_check: bool = Field(
        description="Whether it sends and gets only what is from or for its own addresses.",
        examples=[True],
    )
    limits: LimitsOut | None = Field(
        description="Limits of what passes through it; null: none.", examples=[None]
    )
    limits_enforced: bool | None = Field(
        description="Whether its host can enforce them; null: there are none, or no host.",
        examples=[None],
    )
    outside: list[OutsideOut] | None = Field(
        description="Its global IPv6 addresses that its subnet's route table leads outside, each "
        "with where it is realised; null in lists.",
        examples=[
            [
                {
                    "address": "2001:db8:10:1::20",
                    "internet_gateway_id": "igw-0a1b2c3d4e5f60718",
                    "mode": "distributed",
                    "host_id": "host-0a1b2c3d4e5f60718",
                    "since_revision": 1042,
                    "reason": None,
                }
            ]
        ],
    )


class PortPage(PageOut[PortOut]):
    """One page of ports."""


def _render_attachment(view: AttachmentView | None) -> dict[str, Any] | None:
    if view is None:
        return None
    return {
        "kind": view.kind,
        "host_id": view.host_id,
        "interface": view.interface,
        "netns": view.netns,
    }


def _render_claim(view: ClaimView) -> dict[str, Any]:
    return {
        "host_id": view.host_id,
        "state": view.state,
        "claimed_revision": view.claimed_revision,
        "reported_at": view.reported_at,
        "link": view.link,
    }


def _render_outside(view: OutsideView) -> dict[str, Any]:
    return {
        "address": str(view.address),
        "internet_gateway_id": view.internet_gateway_id,
        "mode": view.mode,
        "host_id": view.host_id,
        "since_revision": view.since_revision,
        "reason": view.reason,
    }


def render(view: PortView) -> dict[str, Any]:
    """Return *view* as :class:`PortOut` describes it."""
    body = render_meta(view.meta, view.status)
    body["subnet_id"] = view.subnet_id
    body["vpc_id"] = view.vpc_id
    body["mac_address"] = format_mac(view.mac)
    body["fixed_ips"] = [str(address) for address in view.fixed_ips]
    body["port_security"] = view.port_security
    body["security_groups"] = view.security_groups
    body["allowed_address_pairs"] = [
        {"cidr": str(pair.cidr), "mac_address": None if pair.mac is None else format_mac(pair.mac)}
        for pair in view.allowed_address_pairs
    ]
    body["admin_up"] = view.admin_up
    body["attachment"] = _render_attachment(view.attachment)
    body["host_id"] = view.host_id
    body["claims"] = [_render_claim(claim) for claim in view.claims]
    body["mtu"] = view.mtu
    options = view.dhcp_options
    body["dhcp_options"] = None if options is None else render_options(options)
    body |= metadata.render(view.metadata)
    body["source_dest_check"] = view.source_dest_check
    body["limits"] = render_limits(view.limits)
    body["limits_enforced"] = view.limits_enforced
    body["outside"] = None if view.outside is None else [*map(_render_outside, view.outside)]
    return body
