"""Rules of security groups as the API shows and takes them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, RootModel

from api.schemas import traffic
from api.schemas.common import Cidr, Description, Input, Output, PageOut, id_field
from api.schemas.traffic import Direction, TrafficIn, TrafficOut, direction_field
from vpcctl.model.problems import Invalid
from vpcctl.services.security_views import RuleCreate, RulesView, RuleView
from vpcctl.services.traffic import field_at

_Id = Annotated[str, Field(max_length=64)]
MOST_RULES = 1000
"""Rules in one request; the quota says how many a group may have."""

_DIRECTION = direction_field("what the ports in the group may get", "what they may send")


class RemoteIn(Input):
    """Who is on the other side: exactly one of the three."""

    cidr: Cidr | None = Field(
        default=None,
        description="A block without host bits, or one address.",
        examples=["0.0.0.0/0"],
    )
    security_group_id: _Id | None = Field(
        default=None,
        description="The ports of a group of the same VPC; `self` is the rule's own group.",
        examples=["sg-0a1b2c3d4e5f60718"],
    )
    address_group_id: _Id | None = Field(
        default=None,
        description="The blocks of an address group of the same tenant.",
        examples=["ag-0a1b2c3d4e5f60718"],
    )


class RuleIn(TrafficIn):
    """A new rule."""

    direction: Direction = _DIRECTION
    family: Literal["ipv4", "ipv6"] | None = Field(
        default=None,
        description="null: that of the block or of icmp or icmpv6, else a rule for each family is "
        "made.",
        examples=["ipv4"],
    )
    remote: RemoteIn | None = Field(
        default=None,
        description="Who is on the other side; null is anybody.",
        examples=[{"cidr": "0.0.0.0/0"}],
    )
    description: Description = ""

    def to_create(self, at: str = "") -> RuleCreate:
        """Return the service's value of the rule that stands at *at* in the request.

        Raises:
            Invalid: the remote side is there and says nobody, as where a client's value is missing.
        """
        remote = self.remote or RemoteIn()
        if self.remote is not None and not any(self.remote.model_dump().values()):
            raise Invalid(
                "The remote side names nobody.",
                field=field_at(at, "remote"),
                accepted=f"one of {', '.join(RemoteIn.model_fields)}; leave remote out for anybody",
            )
        return RuleCreate(
            self.direction,
            None if self.family is None else (4 if self.family == "ipv4" else 6),
            **traffic.given(self),
            cidr=remote.cidr,
            security_group_id=remote.security_group_id,
            address_group_id=remote.address_group_id,
            description=self.description,
            at=at,
        )


class RulesIn(RootModel[Annotated[list[RuleIn], Field(min_length=1, max_length=MOST_RULES)]]):
    """Several new rules: all are made, or none."""

    def to_create(self) -> tuple[RuleCreate, ...]:
        """Return the service's values."""
        return tuple(rule.to_create(str(number)) for number, rule in enumerate(self.root))


class RuleOrRulesIn(RootModel[RuleIn | RulesIn]):
    """One new rule, or an array of rules of which all are made, or none."""


class RulePatch(Input):
    """A change of a rule; what it allows cannot change: make another and delete this one."""

    description: Description


class RemoteOut(Output):
    """Who is on the other side: one of the three."""

    cidr: str | None = Field(description="A block.", examples=["0.0.0.0/0"])
    security_group_id: str | None = Field(
        description="The ports of a group.", examples=["sg-0a1b2c3d4e5f60718"]
    )
    address_group_id: str | None = Field(
        description="The blocks of an address group.", examples=["ag-0a1b2c3d4e5f60718"]
    )


class RuleOut(TrafficOut):
    """A rule of a security group: something that it allows."""

    id: str = id_field("sgr", "Id of the rule.")
    security_group_id: str = id_field("sg", "The group it is in.")
    direction: Direction = _DIRECTION
    family: Literal["ipv4", "ipv6"] = Field(description="Its family.", examples=["ipv4"])
    remote: RemoteOut | None = Field(
        description="Who is on the other side; null is anybody.",
        examples=[{"cidr": "0.0.0.0/0", "security_group_id": None, "address_group_id": None}],
    )
    description: str = Field(description="Free text.", examples=["HTTPS from anywhere."])
    created_at: datetime = Field(
        description="When it was made (RFC 3339, UTC).", examples=["2026-01-31T12:00:00Z"]
    )


class RulesOut(Output):
    """The rules that a request made, in its order."""

    items: list[RuleOut] = Field(description="The rules.", examples=[[]])


class RulePage(PageOut[RuleOut]):
    """One page of rules."""


def render(view: RuleView) -> dict[str, Any]:
    """Return *view* as :class:`RuleOut` describes it."""
    return {
        "id": view.id,
        "security_group_id": view.group_id,
        "direction": view.direction,
        "family": f"ipv{view.family}",
        **traffic.render(view),
        "remote": _render_remote(view),
        "description": view.description,
        "created_at": view.created_at,
    }


def _render_remote(view: RuleView) -> dict[str, Any] | None:
    remote = {
        "cidr": None if view.cidr is None else str(view.cidr),
        "security_group_id": view.security_group_id,
        "address_group_id": view.address_group_id,
    }
    return remote if any(remote.values()) else None


def render_one(view: RulesView) -> dict[str, Any]:
    """Return the one rule of *view*."""
    (rule,) = view.rules
    return render(rule)


def render_made(view: RulesView) -> dict[str, Any]:
    """Return *view* as :class:`RulesOut` describes it."""
    return {"items": [render(rule) for rule in view.rules]}
