"""External networks as the API shows and takes them."""

from typing import Annotated, Any

from pydantic import Field

from api.schemas.common import (
    Address,
    Cidr,
    Description,
    Input,
    Name,
    PageOut,
    ResourceOut,
    Tags,
    changes,
    id_field,
    no_id_of,
    render_meta,
)
from vpcctl.services.external_networks import LARGEST_VLAN, MTUS
from vpcctl.services.outside_views import (
    ExternalNetworkChange,
    ExternalNetworkCreate,
    ExternalNetworkView,
)
from vpcctl.services.pool_values import MAX_POOLS

_Pools = Annotated[
    list[Annotated[str, Field(max_length=64)]],
    Field(
        max_length=MAX_POOLS,
        description="Where EIPs are allocated from: ranges, blocks or single addresses of the IPv4 "
        "block, without its base, broadcast address and gateway.",
        examples=[["203.0.113.16-203.0.113.99"]],
    ),
]
_Mtu = Annotated[
    int,
    Field(
        ge=MTUS[0],
        le=MTUS[1],
        description="MTU of the network, bytes; at least 1280 with an IPv6 block.",
        examples=[1500],
    ),
]


def _gateway() -> Any:
    return Field(
        default=None,
        description="The provider's IPv4 router; null: only what is on the link is reached.",
        examples=["203.0.113.1"],
    )


def _ipv6_cidr() -> Any:
    return Field(default=None, description="IPv6 block, or null.", examples=["2001:db8:1::/64"])


def _ipv6_gateway() -> Any:
    return Field(
        default=None,
        description="The provider's IPv6 router; null: only what is on the link is reached.",
        examples=["2001:db8:1::1"],
    )


_Name = Annotated[Name, no_id_of("ext")]


class ExternalNetworkIn(Input):
    """A new external network."""

    provider: str = Field(
        min_length=1,
        max_length=64,
        description="Name of the provider network, as agents' settings map it to a bridge or "
        "device.",
        examples=["isp"],
    )
    vlan: Annotated[int, Field(ge=1, le=LARGEST_VLAN)] | None = Field(
        default=None,
        description="VLAN of the network on the provider's wire; null: untagged.",
        examples=[100],
    )
    cidr: Cidr | None = Field(
        default=None, description="IPv4 block, or null.", examples=["203.0.113.0/24"]
    )
    gateway: Address | None = _gateway()
    ipv6_cidr: Cidr | None = _ipv6_cidr()
    ipv6_gateway: Address | None = _ipv6_gateway()
    pools: _Pools = Field(default_factory=list)
    mtu: _Mtu = 1500
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_create(self) -> ExternalNetworkCreate:
        """Return the service's value."""
        return ExternalNetworkCreate(
            provider=self.provider,
            vlan=self.vlan,
            cidr=self.cidr,
            gateway=self.gateway,
            ipv6_cidr=self.ipv6_cidr,
            ipv6_gateway=self.ipv6_gateway,
            pools=tuple(self.pools),
            mtu=self.mtu,
            name=self.name,
            description=self.description,
            tags=self.tags,
        )


class ExternalNetworkPatch(Input):
    """A partial change of an external network; absent fields stay, `pools` is the whole new list.

    Provider, VLAN and IPv4 block are for good.
    """

    gateway: Address | None = _gateway()
    ipv6_cidr: Cidr | None = _ipv6_cidr()
    ipv6_gateway: Address | None = _ipv6_gateway()
    pools: _Pools = Field(default_factory=list)
    mtu: _Mtu = 1500
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_change(self) -> ExternalNetworkChange:
        """Return the service's value."""
        return ExternalNetworkChange(**changes(self))


class ExternalNetworkOut(ResourceOut):
    """An external network: a provider's layer-2 network with addresses in it that are ours."""

    id: str = id_field("ext", "Id of the external network.")
    provider: str = Field(description="Name of the provider network.", examples=["isp"])
    vlan: int | None = Field(description="VLAN; null: untagged.", examples=[100])
    cidr: str | None = Field(description="IPv4 block, or null.", examples=["203.0.113.0/24"])
    gateway: str | None = Field(
        description="The provider's IPv4 router, or null.", examples=["203.0.113.1"]
    )
    ipv6_cidr: str | None = Field(description="IPv6 block, or null.", examples=["2001:db8:1::/64"])
    ipv6_gateway: str | None = Field(
        description="The provider's IPv6 router, or null.", examples=["2001:db8:1::1"]
    )
    mtu: int = Field(description="MTU of the network, bytes.", examples=[1500])
    pools: list[str] = Field(
        description="Where EIPs are allocated from; pools that touch are one.",
        examples=[["203.0.113.16-203.0.113.99"]],
    )
    pool_addresses: int = Field(description="How many addresses the pools have.", examples=[84])
    eip_count: int = Field(description="How many of them are EIPs.", examples=[3])
    host_ids: list[str] = Field(
        description="Hosts that reach it, as they report.",
        examples=[["host-0a1b2c3d4e5f60718"]],
    )


class ExternalNetworkPage(PageOut[ExternalNetworkOut]):
    """One page of external networks."""


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def render(view: ExternalNetworkView) -> dict[str, Any]:
    """Return *view* as :class:`ExternalNetworkOut` describes it."""
    body = render_meta(view.meta, view.status)
    body["provider"] = view.provider
    body["vlan"] = view.vlan
    for name in ("cidr", "gateway", "ipv6_cidr", "ipv6_gateway"):
        body[name] = _text(getattr(view, name))
    body["mtu"] = view.mtu
    body["pools"] = [
        str(first) if first == last else f"{first}-{last}" for first, last in view.pools
    ]
    body["pool_addresses"] = view.pool_addresses
    body["eip_count"] = view.eips
    body["host_ids"] = list(view.host_ids)
    return body
