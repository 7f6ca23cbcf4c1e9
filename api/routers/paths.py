"""Path parameters: ids that say what they are. A malformed one is simply not found."""

from typing import Annotated, Any

from fastapi import Path

from vpcctl.model import ids

_CALLED: dict[ids.Kind, str] = {
    "sg": "security group",
    "sgr": "rule",
    "ag": "address group",
    "nacl": "network ACL",
    "dopt": "set of DHCP options",
    "rec": "DNS records",
    "rtb": "route table",
    "ext": "external network",
    "igw": "internet gateway",
    "eip": "EIP",
    "nat": "NAT gateway",
    "fwd": "port forward",
}


def _id(kind: ids.Kind) -> Any:
    return Path(
        description=f"Id of the {_CALLED.get(kind, kind)}.",
        examples=[f"{kind}-0a1b2c3d4e5f60718"],
        json_schema_extra={"pattern": ids.PATTERNS[kind]},
    )


VpcId = Annotated[str, _id("vpc")]
SubnetId = Annotated[str, _id("subnet")]
PortId = Annotated[str, _id("port")]
DhcpOptionsId = Annotated[str, _id("dopt")]
DnsRecordId = Annotated[str, _id("rec")]
GroupId = Annotated[str, _id("sg")]
RuleId = Annotated[str, _id("sgr")]
AddressGroupId = Annotated[str, _id("ag")]
AclId = Annotated[str, _id("nacl")]
RouteTableId = Annotated[str, _id("rtb")]
ExternalNetworkId = Annotated[str, _id("ext")]
InternetGatewayId = Annotated[str, _id("igw")]
EipId = Annotated[str, _id("eip")]
NatGatewayId = Annotated[str, _id("nat")]
ForwardId = Annotated[str, _id("fwd")]
HostId = Annotated[str, _id("host")]
TokenId = Annotated[str, Path(description="Id of the token.", examples=["token-0a1b2c3d4e5f60718"])]
