"""Reading a request's body once: bounded, JSON, strict, and free of what no database stores."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from api import problems
from vpcctl.model.problems import Invalid

Model = TypeVar("Model", bound=BaseModel)

_ESCAPED_NUL = b"\\u0000"


async def read(request: Request, limit: int) -> bytes:
    """Return the request's body.

    Raises:
        TooLarge: it is, or says that it is, longer than *limit* bytes.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 15 or int(declared) > limit):
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _too_large(limit: int) -> problems.TooLarge:
    return problems.TooLarge(f"a body may have {limit} bytes", accepted=f"at most {limit} bytes")


def require_json(request: Request) -> None:
    """Check the media type.

    Raises:
        UnsupportedMediaType: it is not ``application/json`` or ``application/…+json``.
    """
    media = request.headers.get("content-type", "").split(";", 1)[0].strip().lower()
    if media == "application/json" or (
        media.startswith("application/") and media.endswith("+json")
    ):
        return
    raise problems.UnsupportedMediaType(
        "send the body as JSON and say so in Content-Type",
        field="Content-Type",
        accepted="application/json",
    )


async def read_json(request: Request, limit: int) -> bytes:
    """Return the body of a request that says that it is JSON.

    Raises:
        UnsupportedMediaType: the body is not said to be JSON.
        TooLarge: the body is longer than *limit* bytes.
    """
    require_json(request)
    return await read(request, limit)


async def read_model(request: Request, model: type[Model], limit: int) -> tuple[Model, bytes]:
    """Return the body as *model*, and as it was sent.

    Raises:
        UnsupportedMediaType: the body is not said to be JSON.
        TooLarge: the body is longer than *limit* bytes.
        Malformed: it is not JSON in UTF-8.
        InvalidFields: a field is not as documented.
    """
    raw = await read_json(request, limit)
    return parse(raw, model), raw


def parse(raw: bytes, model: type[Model]) -> Model:
    """Return JSON text as *model*: parsed and validated in one pass, and strictly.

    Raises:
        Malformed: it is not JSON in UTF-8.
        InvalidFields: a field is not as documented: "1" is no number.
        Invalid: a text holds a NUL character.
    """
    if _ESCAPED_NUL in raw:
        _refuse_nul(_parse(raw), "")
    try:
        return model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        if found[0]["type"] == "json_invalid":
            raise _malformed(found[0]["msg"]) from None
        raise problems.validation(found) from None


def _parse(raw: bytes) -> Any:
    try:
        return from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise _malformed(str(error)) from None


def _malformed(why: str) -> problems.Malformed:
    return problems.Malformed(f"the body is not JSON: {why}", accepted="JSON (RFC 8259) in UTF-8")


def _refuse_nul(value: Any, path: str) -> None:
    """Raise Invalid for the first string in *value* that holds a NUL character."""
    if isinstance(value, str) and "\0" in value:
        raise Invalid(
            f"{path or 'the body'} holds a NUL character",
            field=path or None,
            accepted="text without NUL",
        )
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_nul(key, path)
            _refuse_nul(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_nul(item, f"{path}.{index}" if path else str(index))
