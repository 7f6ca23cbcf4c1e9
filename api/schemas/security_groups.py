"""Security groups as the API shows and takes them."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from api.schemas import group_rules
from api.schemas.common import (
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
from api.schemas.group_rules import MOST_RULES, RuleIn, RuleOut
from vpcctl.services.security_views import (
    SecurityGroupChange,
    SecurityGroupCreate,
    SecurityGroupView,
)

_STATEFUL = (
    "true: what answers an allowed connection passes; false: each packet is judged by itself, "
    "replies too."
)
_ESTABLISHED = (
    "What becomes of connections that only a removed rule had allowed: `revoke` ends them at once, "
    "`keep` lets those that the group let in go on until they end (stateful groups only)."
)
_Stateful = Annotated[bool, Field(description=_STATEFUL, examples=[True])]
_Established = Annotated[
    Literal["revoke", "keep"], Field(description=_ESTABLISHED, examples=["revoke"])
]

_SELF = "self"
"""What the command line calls the group that a rule is in, where rules name groups."""


def _no_self(name: str) -> str:
    if name == _SELF:
        raise PydanticCustomError("name_is_self", "name of another meaning")
    return name


_Name = Annotated[Name, no_id_of("sg"), AfterValidator(_no_self)]


class SecurityGroupIn(Input):
    """A new security group."""

    vpc_id: str = Field(
        max_length=64, description="The VPC it is in.", examples=["vpc-0a1b2c3d4e5f60718"]
    )
    stateful: _Stateful = True
    established: _Established = "revoke"
    rules: list[RuleIn] = Field(
        default_factory=list,
        max_length=MOST_RULES,
        description="Its first rules; without any, nothing is allowed.",
        examples=[[{"direction": "ingress", "protocol": "tcp", "ports": "443"}]],
    )
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_create(self) -> SecurityGroupCreate:
        """Return the service's value."""
        rules = [rule.to_create(f"rules.{number}") for number, rule in enumerate(self.rules)]
        return SecurityGroupCreate(
            vpc_id=self.vpc_id,
            stateful=self.stateful,
            established=self.established,
            rules=tuple(rules),
            name=self.name,
            description=self.description,
            tags=self.tags,
        )


class SecurityGroupPatch(Input):
    """A partial change of a security group; absent fields stay, its rules are another resource."""

    stateful: _Stateful = True
    established: _Established = "revoke"
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_change(self) -> SecurityGroupChange:
        """Return the service's value."""
        return SecurityGroupChange(**changes(self))


class SecurityGroupLineOut(ResourceOut):
    """A security group without its rules, as lists show it."""

    id: str = id_field("sg", "Id of the security group.")
    vpc_id: str = id_field("vpc", "The VPC it is in.")
    default: bool = Field(
        description="Whether it is its VPC's default group, which ports made without groups get.",
        examples=[False],
    )
    stateful: bool = Field(description=_STATEFUL, examples=[True])
    established: Literal["revoke", "keep"] = Field(description=_ESTABLISHED, examples=["revoke"])
    rule_count: int = Field(description="How many rules it has.", examples=[2])


class SecurityGroupOut(SecurityGroupLineOut):
    """A security group: its ports may do what any rule of any of their groups allows."""

    rules: list[RuleOut] = Field(description="Its rules, oldest first.", examples=[[]])


class SecurityGroupPage(PageOut[SecurityGroupLineOut]):
    """One page of security groups, without their rules."""


def render(view: SecurityGroupView) -> dict[str, Any]:
    """Return *view* as :class:`SecurityGroupOut` or :class:`SecurityGroupLineOut` describes it."""
    body = render_meta(view.meta, view.status)
    body["vpc_id"] = view.vpc_id
    body["default"] = view.default
    body["stateful"] = view.stateful
    body["established"] = view.established
    body["rule_count"] = view.rule_count
    if view.rules is not None:
        body["rules"] = [group_rules.render(rule) for rule in view.rules]
    return body
