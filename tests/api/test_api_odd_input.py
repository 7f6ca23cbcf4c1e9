"""Odd queries, ids and texts end in a problem document, whichever database looks at them."""

import copy
from typing import Any

import pytest

from tests.api.support import BOTH, Api, assert_problem, report
from vpcctl.wire.report import Link

pytestmark = BOTH


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=x",
        "limit=" + "9" * 5000,
        "limit=1&limit=x",
        "cursor=%ff%fe",
        "cursor=!!!",
        "cursor=" + "A" * 2000,
        "cursor=AAAA",
        "nme=x",
        "tag=novalue",
        "tag=k:1&tag=k:2",
        "name=%00",
        "name=%ff",
        "tenant_id=%ED%A0%80",
        "%00=1",
        "%ff=%ff",
        "=",
        "limit=nan",
    ],
)
def test_odd_queries_never_fail(api: Api, query: str) -> None:
    answer = api.admin.get(f"/v1/vpcs?{query}")
    assert answer.status_code in (200, 400, 422), answer.text
    if answer.status_code != 200:
        assert_problem(answer, answer.status_code)


@pytest.mark.parametrize("identity", ["%00", "%ff", "..%2f", "vpc-1", "x" * 5000, "%ED%A0%80", "é"])
def test_odd_ids_are_not_found(api: Api, identity: str) -> None:
    for plural in ("vpcs", "subnets", "ports", "hosts", "tokens"):
        answer = api.admin.get(f"/v1/{plural}/{identity}")
        assert answer.status_code in (400, 404), answer.text
        assert_problem(answer, answer.status_code)


def test_odd_texts_are_stored_as_they_are_or_refused(api: Api) -> None:
    tenant = api.tenant("texts")
    for text in (
        "é",
        "\N{SNOWMAN}" * 100,
        "a\nb\tc",
        "\x7f\x1b",
        "\U0010ffff",
        "' OR 1=1 --",
        "%s",
    ):
        body = {"cidrs": ["10.0.0.0/16"], "name": text, "tags": {text: text}}
        answer = tenant.post("/v1/vpcs", json=body)
        if answer.status_code == 201:
            assert answer.json()["name"] == text
            found = tenant.get("/v1/vpcs", params={"name": text}).json()["items"]
            assert answer.json()["id"] in [item["id"] for item in found]
        else:
            assert_problem(answer, 422, "invalid")


GARBAGE: list[Any] = [
    None,
    True,
    -1,
    0,
    2**70,
    1.5,
    "",
    "x",
    "\0",
    "x" * 5000,
    [],
    {},
    [[]],
    [None],
]


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[tuple[Any, ...]] = []
    for key, item in children:
        found.append((*path, key))
        if isinstance(item, dict | list):
            found += _places(item, (*path, key))
    return found


_SAMPLE = report(
    1, (Link(port_id="port-" + "0" * 17, interface="tap0", interface_uuid="u", ofport=3),)
)


@pytest.mark.parametrize("place", _places(_SAMPLE), ids=lambda place: ".".join(map(str, place)))
def test_garbage_in_any_field_never_fails(api: Api, place: tuple[Any, ...]) -> None:
    host_id, agent = api.host("garbage")
    for garbage in GARBAGE:
        body = copy.deepcopy(_SAMPLE)
        target = body
        for key in place[:-1]:
            target = target[key]
        target[place[-1]] = garbage
        answer = agent.post(f"/v1/hosts/{host_id}/reports", json=body)
        assert answer.status_code in (200, 409, 422), (garbage, answer.text)
        if answer.status_code != 200:
            problem = assert_problem(answer, answer.status_code)
            if problem["field"] and problem["code"] == "invalid" and problem["errors"]:
                assert problem["field"].split(".")[0] == str(place[0])
