"""The agent reads and writes what the controller writes and reads, and means the same by it."""

import json
from ipaddress import IPv4Network
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from agent.wire import enrollment, report, state, zones
from agent.wire.base import Unreadable, Wire, read, written
from vpcctl.wire import enrollment as their_enrollment
from vpcctl.wire import report as their_report
from vpcctl.wire import state as their_state
from vpcctl.wire import zones as their_zones

Pair = tuple[type[Wire], type[BaseModel]]
READ: list[Pair] = [
    (state.HostState, their_state.HostState),
    (report.ReportAnswer, their_report.ReportAnswer),
    (zones.PortMetadata, their_zones.PortMetadata),
    (zones.ChangedZones, their_zones.ChangedZones),
    (enrollment.AuthorityAnswer, their_enrollment.AuthorityAnswer),
    (enrollment.CertificateAnswer, their_enrollment.CertificateAnswer),
    (enrollment.EnrollAnswer, their_enrollment.EnrollAnswer),
]
WRITTEN: list[Pair] = [
    (report.LinkReport, their_report.LinkReport),
    (zones.KnownZones, their_zones.KnownZones),
    (enrollment.CertificateRequest, their_enrollment.CertificateRequest),
    (enrollment.EnrollRequest, their_enrollment.EnrollRequest),
]
FEW = settings(max_examples=30, deadline=None)
_WORDS = ("title", "description", "examples", "additionalProperties")
_LIMITS = (
    *("minimum", "maximum", "exclusiveMinimum", "pattern"),
    *("minLength", "maxLength", "maxItems", "maxProperties"),
)
_LARGE = 2**64 - 1
"""msgspec has no limit as high as this one."""


def name(pair: Pair) -> str:
    return pair[0].__name__


def plain(schema: Any, leave_out: tuple[str, ...]) -> Any:
    """A JSON schema without words for people, or what else is left out."""
    if isinstance(schema, list | tuple):
        return [plain(one, leave_out) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: plain(value, leave_out)
        for key, value in schema.items()
        if key not in leave_out
        and (key, value) not in (("maximum", _LARGE), ("items", False), ("required", []))
    }
    if "pattern" in kept:
        kept["pattern"] = kept["pattern"].replace(r"\Z", "$")
    if "const" in kept:
        return {"enum": [kept["const"]], **{k: v for k, v in kept.items() if k == "default"}}
    if "enum" in kept:
        kept.pop("type", None)
        kept["enum"] = sorted(kept["enum"])
    if "properties" in schema:  # in order, of which digests are made
        kept["properties"] = [
            (key, plain(value, leave_out)) for key, value in schema["properties"].items()
        ]
    return kept


def schemas(pair: Pair, *leave_out: str) -> tuple[Any, Any]:
    """What each side says of a kind of document, and of the parts of it."""
    ours, theirs = pair
    _, told = msgspec.json.schema_components(
        [ours], schema_hook=lambda _: {"type": "string", "format": "ipv4network"}
    )
    said = theirs.model_json_schema(mode="serialization" if leave_out else "validation")
    parts = {**said.pop("$defs", {}), theirs.__name__: said}
    words = (*_WORDS, *leave_out)
    return plain(msgspec.to_builtins(told), words), plain(parts, words)


def documents(schema: dict[str, Any], parts: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Documents that a JSON schema allows."""
    if "$ref" in schema:
        return st.deferred(lambda: documents(parts[schema["$ref"].rpartition("/")[2]], parts))
    if "anyOf" in schema:
        return st.one_of([documents(one, parts) for one in schema["anyOf"]])
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    match schema["type"]:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum", 0), schema.get("maximum", 2**63 - 1))
        case "number":
            return st.floats(0.5, schema["maximum"])
        case "array":
            return lists(schema, parts)
        case "object":
            return objects(schema, parts)
    return texts(schema)


def texts(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    if schema.get("format") == "ipv4network":
        return st.ip_addresses(v=4).map(lambda one: str(IPv4Network(f"{one}/20", strict=False)))
    if "pattern" in schema:
        return st.from_regex(schema["pattern"].replace("$", r"\Z"), fullmatch=True).filter(
            lambda text: len(text) <= schema.get("maxLength", len(text))
        )
    return st.text(min_size=schema.get("minLength", 0), max_size=min(schema.get("maxLength", 9), 9))


def lists(schema: dict[str, Any], parts: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "prefixItems" in schema:
        return st.tuples(*(documents(one, parts) for one in schema["prefixItems"])).map(list)
    return st.lists(documents(schema["items"], parts), max_size=2)


def objects(schema: dict[str, Any], parts: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "properties" not in schema:
        return st.dictionaries(st.text(), documents(schema["additionalProperties"], parts))
    made = {key: documents(value, parts) for key, value in schema["properties"].items()}
    needed = {key: made.pop(key) for key in schema.get("required", ())}
    return st.fixed_dictionaries(needed, optional=made)


def of(theirs: type[BaseModel]) -> st.SearchStrategy[Any]:
    schema = theirs.model_json_schema()
    return documents(schema, schema.get("$defs", {}))


@pytest.mark.parametrize("pair", READ, ids=name)
def test_what_is_read_is_bound_by_the_same_rules(pair: Pair) -> None:
    ours, theirs = schemas(pair)
    assert ours == theirs


@pytest.mark.parametrize("pair", WRITTEN, ids=name)
def test_what_is_written_has_the_same_members(pair: Pair) -> None:
    ours, theirs = (
        {kind: [key for key, _ in of["properties"]] for kind, of in side.items()}
        for side in schemas(pair, *_LIMITS)
    )
    assert ours == theirs


@pytest.mark.parametrize("pair", READ, ids=name)
@FEW
@given(st.data())
def test_what_the_controller_writes_is_read(pair: Pair, data: st.DataObject) -> None:
    ours, theirs = pair
    sent = theirs.model_validate(data.draw(of(theirs)))
    kept = written(read(ours, sent.model_dump_json()))
    assert theirs.model_validate_json(kept) == sent
    assert json.loads(kept) == json.loads(sent.model_dump_json())


@pytest.mark.parametrize("pair", WRITTEN, ids=name)
@FEW
@given(st.data())
def test_what_the_agent_writes_is_read(pair: Pair, data: st.DataObject) -> None:
    ours, theirs = pair
    meant = theirs.model_validate(data.draw(of(theirs)))
    sent = written(read(ours, meant.model_dump_json()))
    assert theirs.model_validate_json(sent, strict=True) == meant


@settings(max_examples=100, deadline=None)
@given(of(their_report.HostFacts), st.lists(of(their_report.Link), max_size=3))
def test_both_find_the_same_digest(facts: Any, links: list[Any]) -> None:
    their_facts = their_report.HostFacts.model_validate(facts)
    their_links = [their_report.Link.model_validate(one) for one in links]
    our_links = [read(report.Link, one.model_dump_json()) for one in their_links]
    found = report.digest(read(report.HostFacts, their_facts.model_dump_json()), our_links)
    assert found == their_report.digest(their_facts, their_links)


@FEW
@given(of(their_zones.ZoneDocument), of(their_zones.PortMetadata))
def test_sealed_documents_are_whole(zone: Any, metadata: Any) -> None:
    whole = their_zones.sealed(their_zones.ZoneDocument.model_validate(zone))
    said = zones.unsealed(zones.ZoneDocument, whole.model_dump_json().encode()).said
    assert (said.vpc_id, said.revision, said.since) == (whole.vpc_id, whole.revision, whole.since)
    more = their_zones.sealed(their_zones.PortMetadata.model_validate(metadata))
    text = more.model_dump_json().encode()
    assert zones.unsealed(zones.PortMetadata, text).said.revision == more.revision
    for damaged in (text[:-1], text.replace(b"port_id", b"port_ID"), text + b"\n", b"{}", b"\xff"):
        with pytest.raises(Unreadable):
            zones.unsealed(zones.PortMetadata, damaged)


def test_what_is_wrong_is_named() -> None:
    guest = {"port_id": "port-00000000000000001\n", "key": 1, "subnet_id": "", "mac": ""}
    with pytest.raises(Unreadable, match=r"port_id"):
        read(state.Guest, json.dumps({**guest, "addresses": []}))
    with pytest.raises(Unreadable, match=r"destination"):
        read(state.GuestRoute, '{"destination": "10.0.0.1/8"}')
