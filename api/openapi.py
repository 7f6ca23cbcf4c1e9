"""The OpenAPI document: what every operation takes, answers and may refuse."""

import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.problems import MEDIA_TYPE
from api.schemas.problems import LaggingOut, ProblemOut

_REF = "#/components/schemas/{model}"
_TITLES = {
    400: "The request cannot be read.",
    401: "The bearer token is missing, malformed, unknown, revoked or expired.",
    403: "The token's role may not do this.",
    404: "There is no such resource, or it belongs to another tenant.",
    409: "The present state forbids it.",
    412: "If-Match names another revision than the present one.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "A value cannot be accepted.",
    429: "The token has used up its rate.",
    431: "The request's head is too large.",
    500: "The server has failed.",
    503: "A part that is needed does not answer now.",
    504: "Stored, but not yet realised on every host within the time asked for.",
}
_EVERY = (400, 401, 403, 422, 429, 431, 500, 503)
_HEADERS: dict[str, dict[str, Any]] = {
    "ETag": {
        "description": "The resource's revision in quotes, for If-Match.",
        "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
        "example": '"1042"',
    },
    "Vpcctl-Revision": {
        "description": "The revision that the write made.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 1042,
    },
    "Location": {
        "description": "Path of the new resource.",
        "schema": {"type": "string"},
        "example": "/v1/ports/port-0a1b2c3d4e5f60718",
    },
    "Idempotency-Replayed": {
        "description": "`true` when this is the stored answer of an earlier equal request.",
        "schema": {"type": "string", "enum": ["true"]},
        "example": "true",
    },
    "X-Request-Id": {
        "description": "Id of the request in the server's log.",
        "schema": {"type": "string"},
        "example": "req-6d1f0c7a9b3e4f52",
    },
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 1,
    },
    "WWW-Authenticate": {
        "description": "The scheme to use.",
        "schema": {"type": "string"},
        "example": 'Bearer realm="vpcctl"',
    },
}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "Do it only if the resource is still at this ETag; `*` is any.",
    "schema": {"type": "string", "maxLength": 1024},
    "example": '"1042"',
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Any token of the client's: the same request with the same key within 24 hours "
    "is done once and answered alike.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    "example": "c0ffee00-1",
}
LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "Id of the last event seen; goes before `after`.",
    "schema": {"type": "string", "pattern": r"^[0-9]{1,18}(\.[0-9]{1,9})?$"},
    "example": "1042.0",
}


def describe(
    operation_id: str,
    summary: str,
    *,
    status: int = 200,
    answer: type[BaseModel] | None = None,
    body: type[BaseModel] | None = None,
    refuses: Sequence[int] = (),
    headers: Sequence[str] = (),
    parameters: Sequence[dict[str, Any]] = (),
    media: str = "application/json",
    no_content: str = "",
) -> dict[str, Any]:
    """Return the arguments of a route decorator for one operation under /v1.

    Args:
        operation_id: its name in generated clients.
        summary: what it does, in a few words.
        status: of success.
        answer: describes the answer's body; None: there is none.
        body: describes the request's body; None: there is none.
        refuses: statuses beyond those that every operation may answer.
        headers: names of the answer's headers.
        parameters: header parameters.
        media: the answer's media type.
        no_content: when 204 may also be answered, and what that means.
    """
    statuses = sorted({*_EVERY, *refuses, *((413, 415) if body else ())})
    documented = ["X-Request-Id", *headers]
    ok: dict[str, Any] = {
        "description": "Done.",
        "headers": {name: _HEADERS[name] for name in documented},
    }
    if answer is not None:
        ok["content"] = {media: {"schema": _schema(answer)}}
    extra: dict[str, Any] = {"security": [{"bearer": []}]}
    if parameters:
        extra["parameters"] = list(parameters)
    if body is not None:
        content = {"application/json": {"schema": _schema(body)}}
        extra["requestBody"] = {"required": True, "content": content}
    responses: dict[int | str, Any] = {status: ok, **{code: refusal(code) for code in statuses}}
    if no_content:
        responses[204] = {"description": no_content, "headers": ok["headers"]}
    return {
        "operation_id": operation_id,
        "summary": summary,
        "status_code": status,
        "response_class": _Undescribed,
        "response_model": None,
        "responses": responses,
        "openapi_extra": extra,
    }


class _Undescribed(Response):
    """A response whose media type is documented by hand."""

    media_type = None


def _schema(answer: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": _REF.format(model=schema_name(answer))}


def schema_name(model: type[BaseModel]) -> str:
    """Return the name of *model* in the document."""
    return re.sub(r"[^a-zA-Z0-9._-]", "_", model.__name__)


def describe_open(
    operation_id: str, summary: str, *, answer: type[BaseModel] | None
) -> dict[str, Any]:
    """Return the arguments of a route decorator for an operation without authentication."""
    media = "text/plain" if answer is None else "application/json"
    schema: dict[str, Any] = {"type": "string"} if answer is None else _schema(answer)
    ok = {
        "description": "Done.",
        "headers": {"X-Request-Id": _HEADERS["X-Request-Id"]},
        "content": {media: {"schema": schema}},
    }
    return {
        "operation_id": operation_id,
        "summary": summary,
        "response_class": _Undescribed,
        "response_model": None,
        "responses": {200: ok, **{code: refusal(code) for code in (400, 431, 500, 503)}},
        "openapi_extra": {"security": []},
    }


def refusal(status: int) -> dict[str, Any]:
    """Return the documentation of a problem document with *status*."""
    names = ["X-Request-Id"]
    names += ["WWW-Authenticate"] if status == 401 else []
    names += ["Retry-After"] if status in (429, 503) else []
    names += ["Vpcctl-Revision"] if status == 504 else []
    model = LaggingOut if status == 504 else ProblemOut
    return {
        "description": _TITLES[status],
        "headers": {name: _HEADERS[name] for name in names},
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model=model.__name__)}}},
    }


def install(app: FastAPI, models: Sequence[type[BaseModel]]) -> None:
    """Make *app* answer an OpenAPI document that holds *models*, which its routes refer to."""

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, models)
        return app.openapi_schema

    app.openapi = build  # type: ignore[method-assign]


def _document(app: FastAPI, models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    for item in document["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                _without_null(parameter["schema"])
    schemas: dict[str, Any] = {}
    for model in models:
        _, definitions = models_json_schema([(model, "validation")], ref_template=_REF)
        for name, schema in definitions["$defs"].items():
            schemas.setdefault(name, schema)
    for model in _wire_models(models):
        if model.__name__ in schemas:
            _describe_fields(model, schemas[model.__name__])
    document["components"] = {
        "schemas": dict(sorted(schemas.items())),
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "description": "A token's secret."}
        },
    }
    return document


def _without_null(schema: dict[str, Any]) -> None:
    """Take null out of a parameter's schema: there is no way to write it in a query."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        del schema["anyOf"]
        schema.update(choices[0])


def _wire_models(models: Sequence[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """Yield every model of the wire modules that *models* come from."""
    modules = {m.__module__ for m in models if m.__module__.startswith("vpcctl.wire")}
    for name in sorted(modules):
        for _, found in inspect.getmembers(sys.modules[name], inspect.isclass):
            if issubclass(found, BaseModel):
                yield found


_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def _describe_fields(model: type[BaseModel], schema: dict[str, Any]) -> None:
    """Take the fields' descriptions from the docstring of *model* where they have none."""
    described = dict(_ATTRIBUTE.findall(inspect.getdoc(model) or ""))
    for name, field in schema.get("properties", {}).items():
        if "description" not in field:
            text = described.get(name, name.replace("_", " "))
            field["description"] = re.sub(r"\s+", " ", text)
        if "examples" not in field:
            field["examples"] = [_EXAMPLES.get(name, field.get("default", 0))]


_EXAMPLES: dict[str, Any] = {
    "version": 1,
    "agent_id": "0123456789abcdef0123456789abcdef",
    "boot": 1_790_000_000,
    "sequence": 7,
    "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "state_revision": 1042,
    "facts": {"vtep_address": "192.0.2.11", "datapath_type": "netdev", "nd_extensions": True},
    "links": [{"port_id": "port-0a1b2c3d4e5f60718", "interface": "tap0", "ofport": 5}],
    "vtep_address": "192.0.2.11",
    "tunnel_ofport": 1,
    "dpid": 8_530_000_000_000_000_001,
    "datapath_type": "netdev",
    "nd_extensions": True,
    "underlay_mtu": 1500,
    "agent_version": "0.1.0",
    "ovs_version": "3.1.0",
    "errors": [],
    "port_id": "port-0a1b2c3d4e5f60718",
    "interface": "tap0",
    "interface_uuid": "4b0f8a4e-7a53-4d4c-9a39-0f0f4c9e1d11",
    "ofport": 5,
    "mac": "0e:00:00:00:01:14",
    "netns": "web-1",
    "admin_up": True,
    "oper_up": True,
    "error": None,
    "counters": {"rx_packets": 10, "rx_bytes": 980},
    "accepted": True,
    "full_report_needed": False,
    "state": None,
    "revision": 1042,
    "host_id": "host-0a1b2c3d4e5f60718",
    "name": "hv-1",
    "openflow_targets": ["tcp:127.0.0.1:6653"],
    "settings": {"report_interval_s": 5.0},
    "report_interval_s": 5.0,
    "attachments": [],
    "peers": [{"host_id": "host-0a1b2c3d4e5f60719", "vtep_address": "192.0.2.12"}],
    "kind": "namespace",
    "addresses": [{"address": "10.0.1.20", "prefix_length": 24, "gateway": "10.0.1.1"}],
    "address": "10.0.1.20",
    "prefix_length": 24,
    "gateway": "10.0.1.1",
    "mtu": 1450,
}
