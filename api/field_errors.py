"""What is wrong with one field and what would be accepted, in words; from pydantic's errors.

The field's name is no part of either: whoever shows them says it.
"""

from collections.abc import Mapping
from typing import Any

_TIME = "a time such as 2030-01-31T00:00:00Z"
_IS = {
    "missing": ("is missing", "a value"),
    "finite_number": ("is not finite", "a finite number"),
    "string_type": ("is no text", "a string"),
    "list_type": ("is no array", "an array"),
    "tuple_type": ("is no array", "an array"),
    "dict_type": ("is no object", "an object"),
    "model_type": ("is no object", "an object"),
    "model_attributes_type": ("is no object", "an object"),
    "int_type": ("is no whole number", "a whole number"),
    "int_parsing": ("is no whole number", "a whole number"),
    "int_from_float": ("is no whole number", "a whole number"),
    "float_type": ("is no number", "a number"),
    "float_parsing": ("is no number", "a number"),
    "bool_type": ("is neither true nor false", "true or false"),
    "bool_parsing": ("is neither true nor false", "true or false"),
    "datetime_type": ("is no time", _TIME),
    "datetime_parsing": ("is no time", _TIME),
    "datetime_from_date_parsing": ("is no time", _TIME),
    "datetime_object_invalid": ("is no time", _TIME),
    "timezone_aware": ("says no time zone", _TIME),
    "literal_error": ("is none of the values that there are", "{expected}"),
    "enum": ("is none of the values that there are", "{expected}"),
    "string_pattern_mismatch": ("is not of the form", "text that matches {pattern}"),
    "string_too_short": ("is too short", "at least {min_length} characters"),
    "string_too_long": ("is too long", "at most {max_length} characters"),
    "too_short": ("has too few items", "at least {min_length} items"),
    "too_long": ("has too many items", "at most {max_length} items"),
    "greater_than": ("is too small", "a number above {gt}"),
    "greater_than_equal": ("is too small", "a number from {ge} up"),
    "less_than": ("is too large", "a number below {lt}"),
    "less_than_equal": ("is too large", "a number up to {le}"),
    "name_is_id": (
        "has the form of an id, which it would be taken for",
        "a name other than {kind}- and 17 hexadecimal digits",
    ),
    "name_is_self": (
        "would be taken for the group that a rule is in",
        "a name other than self",
    ),
}
"""What is said of a field, and what is accepted, by the type of the error."""

_DOCUMENTED = "a value as documented"


def wording(error: Mapping[str, Any], *, is_body: bool) -> tuple[str, str]:
    """Return what is wrong, as a sentence, and what would be accepted.

    Args:
        error: one of those that ``ValidationError.errors()`` gives, with its context.
        is_body: it is about the whole body.
    """
    if error["type"] == "extra_forbidden":
        return "No field of this name is known.", "only documented fields"
    if error["type"] in _IS:
        wrong, accepted = _IS[error["type"]]
        limits = {name: _plain(value) for name, value in error.get("ctx", {}).items()}
        if limits.get("min_length") == "1" or limits.get("max_length") == "1":
            accepted = accepted.removesuffix("s")
        return f"{'The body' if is_body else 'It'} {wrong}.", accepted.format_map(limits)
    message = str(error["msg"]).removeprefix("Value error, ")
    accepted = message.removeprefix("Input should be ")
    if accepted != message:
        return f"{'The body' if is_body else 'It'} cannot be accepted.", accepted
    return f"{message}.", _DOCUMENTED


def _plain(value: Any) -> str:
    """Return a limit as people write it: without quotes, or a fraction of nothing."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).replace("'", "")
