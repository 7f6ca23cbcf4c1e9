"""What is said of a field that is not as documented: once, and with what would be accepted."""

import json
from typing import Annotated, Any, Literal

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from api.problems import validation

TIME = "a time such as 2030-01-31T00:00:00Z"


class _Sample(BaseModel):
    model_config = ConfigDict(extra="forbid")

    needed: int = 0
    lease: int = Field(default=60, ge=60, le=120)
    above: float = Field(default=1.0, gt=0.0, lt=2.5)
    values: list[str] = Field(default=["a"], min_length=1, max_length=2)
    name: str = Field(default="", max_length=3)
    way: Literal["allow", "deny", "drop"] = "allow"
    form: Annotated[str, Field(pattern="^a+$")] = "a"
    on: bool = False
    until: AwareDatetime | None = None
    more: dict[str, str] = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("body", "field", "detail", "accepted"),
    [
        ({"lease": 1}, "lease", "It is too small.", "a number from 60 up"),
        ({"lease": 121}, "lease", "It is too large.", "a number up to 120"),
        ({"above": 0}, "above", "It is too small.", "a number above 0"),
        ({"above": 3}, "above", "It is too large.", "a number below 2.5"),
        ({"values": []}, "values", "It has too few items.", "at least 1 item"),
        ({"values": ["a"] * 3}, "values", "It has too many items.", "at most 2 items"),
        ({"values": [1]}, "values.0", "It is no text.", "a string"),
        ({"name": "long"}, "name", "It is too long.", "at most 3 characters"),
        (
            {"way": "accept"},
            "way",
            "It is none of the values that there are.",
            "allow, deny or drop",
        ),
        ({"form": "b"}, "form", "It is not of the form.", "text that matches ^a+$"),
        ({"on": 2}, "on", "It is neither true nor false.", "true or false"),
        ({"more": 2}, "more", "It is no object.", "an object"),
        ({"until": "soon"}, "until", "It is no time.", TIME),
        ({"until": "2030-01-31"}, "until", "It is no time.", TIME),
        ({"until": 5.5}, "until", "It is no time.", TIME),
        ({"until": "2030-01-31T00:00:00"}, "until", "It says no time zone.", TIME),
        ({"needed": None}, "needed", "It is no whole number.", "a whole number"),
        ({"other": 1}, "other", "No field of this name is known.", "only documented fields"),
        (5, None, "The body is no object.", "an object"),
    ],
)
def test_a_field_is_said_once_with_what_is_accepted(
    body: Any, field: str | None, detail: str, accepted: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        _Sample.model_validate_json(json.dumps(body), strict="above" not in str(body))
    problem = validation(caught.value.errors())
    assert (problem.field, problem.detail, problem.accepted) == (field, detail, accepted)


def test_what_is_not_foreseen_keeps_its_words() -> None:
    errors = [
        {"type": "value_error", "loc": ("a",), "msg": "Value error, it is odd"},
        {"type": "date_type", "loc": ("b",), "msg": "Input should be a valid date"},
    ]
    assert [(one["detail"], one["accepted"]) for one in validation(errors).errors] == [
        ("it is odd.", "a value as documented"),
        ("It cannot be accepted.", "a valid date"),
    ]
