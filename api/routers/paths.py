"""Path parameters: ids that say what they are. A malformed one is simply not found."""

from typing import Annotated, Any

from fastapi import Path

from vpcctl.model import ids


def _id(kind: ids.Kind) -> Any:
    return Path(
        description=f"Id of the {kind}.",
        examples=[f"{kind}-0a1b2c3d4e5f60718"],
        json_schema_extra={"pattern": ids.PATTERNS[kind]},
    )


VpcId = Annotated[str, _id("vpc")]
SubnetId = Annotated[str, _id("subnet")]
PortId = Annotated[str, _id("port")]
DhcpOptionsId = Annotated[str, _id("dopt")]
HostId = Annotated[str, _id("host")]
TokenId = Annotated[str, Path(description="Id of the token.", examples=["token-0a1b2c3d4e5f60718"])]
