"""Odd queries, ids and texts end in a problem document, whichever database looks at them."""

import pytest

from tests.api.support import BOTH, Api, assert_problem

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
