"""Problem documents as the OpenAPI document describes them (RFC 9457)."""

from pydantic import Field

from api.schemas.common import Output


class BlockerOut(Output):
    """A resource that stands in the way."""

    kind: str = Field(description="Kind of resource.", examples=["port"])
    id: str = Field(description="Its id.", examples=["port-0a1b2c3d4e5f60718"])
    reason: str = Field(description="Why it blocks.", examples=["the port is in this subnet"])


class FieldErrorOut(Output):
    """One field that failed validation."""

    field: str = Field(description="Dotted name of the field.", examples=["cidrs.0"])
    detail: str = Field(description="What is wrong with it.", examples=["It is no text."])
    accepted: str = Field(description="What would be accepted.", examples=["a string"])


class ProblemOut(Output):
    """A problem document."""

    type: str = Field(
        description="`urn:vpcctl:problem:<code>`.", examples=["urn:vpcctl:problem:conflict"]
    )
    title: str = Field(
        description="The same for every occurrence.", examples=["The present state forbids it"]
    )
    status: int = Field(description="The HTTP status.", examples=[409])
    detail: str = Field(
        description="What happened here.", examples=["10.0.1.20 belongs to another port"]
    )
    code: str = Field(description="Name for programs.", examples=["conflict"])
    field: str | None = Field(
        description="Dotted name of the offending field, query parameter or header.",
        examples=["fixed_ips.0"],
    )
    accepted: str | None = Field(
        description="What would have been accepted.", examples=["a free address of 10.0.1.0/24"]
    )
    blockers: list[BlockerOut] = Field(description="What stands in the way.", examples=[[]])
    errors: list[FieldErrorOut] = Field(
        description="Every field that failed validation.", examples=[[]]
    )
    instance: str = Field(
        description="Id of the request, also in the X-Request-Id header and in the log.",
        examples=["req-6d1f0c7a9b3e4f52"],
    )


class LaggingHostOut(Output):
    """A host that has not acknowledged a write."""

    id: str = Field(description="The host.", examples=["host-0a1b2c3d4e5f60718"])
    reason: str = Field(description="Why, as far as it is known.", examples=["disconnected"])


class LaggingOut(ProblemOut):
    """The problem of a write that is stored but not yet realised."""

    revision: int = Field(description="The revision that the write made.", examples=[1042])
    resource_id: str = Field(
        description="The resource written.", examples=["port-0a1b2c3d4e5f60718"]
    )
    hosts: list[LaggingHostOut] = Field(
        description="Hosts that have not acknowledged it; empty: the southbound has not yet "
        "taken it up, or no host carries what was written: `detail` says why.",
        examples=[[{"id": "host-0a1b2c3d4e5f60718", "reason": "disconnected"}]],
    )
