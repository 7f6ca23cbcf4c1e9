"""Query parameters: unknown ones are refused, so that a misspelt filter never lists everything."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vpcctl.model.problems import Invalid
from vpcctl.services.views import Listing

Flag = Literal["true", "false"]
Text = Annotated[str, Field(max_length=256)]
Tag = Annotated[str, Field(max_length=385, pattern=r"^[^:]+:")]
_PAGING = frozenset(("limit", "cursor", "tag"))


class Query(BaseModel):
    """Base of all query models."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoQuery(Query):
    """An operation without query parameters."""


class WriteQuery(Query):
    """What every write takes."""

    wait: Literal["realized"] | None = Field(
        default=None,
        description="`realized`: answer only when every host concerned has acknowledged the write, "
        "and a host carries the EIP or NAT gateway; a drained host stands for no gateway any more.",
        examples=["realized"],
    )
    timeout: float = Field(
        default=10.0,
        ge=0.0,
        le=120.0,
        allow_inf_nan=False,
        description="Seconds to wait at most; then 504, with the write stored.",
        examples=[10.0],
    )


class PageQuery(Query):
    """What every list takes; subclasses add the fields that can be filtered by."""

    limit: int = Field(
        default=100, ge=1, le=500, description="Items on a page at most.", examples=[100]
    )
    cursor: str | None = Field(
        default=None,
        max_length=1024,
        description="`next_cursor` of the previous page.",
        examples=["MjAyNi0wMS0zMXxwb3J0LTBh"],
    )

    def to_listing(self) -> Listing:
        """Return the services' value."""
        filters = {
            name: str(value)
            for name in self.model_fields_set - _PAGING
            if (value := getattr(self, name)) is not None
        }
        return Listing(self.limit, self.cursor, filters)


class ListQuery(PageQuery):
    """What lists of resources take, which have tags."""

    tag: list[Tag] = Field(
        default_factory=list,
        max_length=50,
        description="`key:value`: only resources with this tag; may be given several times, all "
        "must match. The key ends at the first colon.",
        examples=[["env:prod"]],
    )

    def to_listing(self) -> Listing:
        """Return the services' value."""
        return replace(super().to_listing(), tags=dict(self._tags()))

    def _tags(self) -> list[tuple[str, str]]:
        tags: dict[str, str] = {}
        for text in self.tag:
            key, _, value = text.partition(":")
            if tags.setdefault(key, value) != value:
                raise Invalid(
                    f"no resource has two values for the tag {key}",
                    field="tag",
                    accepted="each tag key once",
                )
        return list(tags.items())


def equal(what: str, example: str) -> Any:
    """Return the description of a filter by equality."""
    return Field(default=None, description=f"Only with this {what}.", examples=[example])
