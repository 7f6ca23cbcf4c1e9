"""ETag and If-Match, Idempotency-Key, paging and filters."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.support import BOTH, Api, assert_problem, network

pytestmark = BOTH


def test_if_match_lets_only_the_present_revision_through(api: Api) -> None:
    tenant = api.tenant("etag")
    made = tenant.post("/v1/vpcs", json={"cidrs": ["10.0.0.0/16"]})
    path, tag = made.headers["location"], made.headers["etag"]
    changed = tenant.patch(path, json={"name": "b"}, headers={"If-Match": tag})
    assert changed.status_code == 200
    stale = tenant.patch(path, json={"name": "c"}, headers={"If-Match": tag})
    assert_problem(stale, 412, "stale")
    assert_problem(tenant.delete(path, headers={"If-Match": tag}), 412, "stale")
    assert tenant.get(path).json()["name"] == "b"
    both = f"{tag}, {changed.headers['etag']}"
    assert tenant.patch(path, json={"name": "d"}, headers={"If-Match": both}).status_code == 200
    assert tenant.delete(path, headers={"If-Match": "*"}).status_code == 204
    assert_problem(tenant.delete(path, headers={"If-Match": "*"}), 404)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ('W/"{revision}"', 412),
        ('"abc"', 412),
        ('"99999999999999999999999"', 412),
        ("{revision}", 400),
        ("", 400),
        ('"1" "2"', 400),
        (",", 400),
        ('"', 400),
    ],
)
def test_odd_if_match(api: Api, header: str, status: int) -> None:
    tenant = api.tenant("etag")
    made = tenant.post("/v1/vpcs", json={"cidrs": ["10.0.0.0/16"]})
    value = header.format(revision=made.json()["revision"])
    answer = tenant.patch(made.headers["location"], json={"name": "x"}, headers={"If-Match": value})
    assert_problem(answer, status)


def test_idempotency_key_makes_one_of_many_concurrent_requests(api: Api) -> None:
    tenant = api.tenant("once")
    _, subnet = network(tenant)

    def create(_: int) -> tuple[int, str, str]:
        answer = tenant.post(
            "/v1/ports",
            json={"subnet_id": subnet["id"], "name": "one"},
            headers={"Idempotency-Key": "key-1"},
        )
        return answer.status_code, answer.text, answer.headers.get("etag", "")

    with ThreadPoolExecutor(16) as pool:
        answers = set(pool.map(create, range(32)))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 201
    listed = tenant.get("/v1/ports", params={"name": "one"}).json()["items"]
    assert len(listed) == 1
    again = tenant.post(
        "/v1/ports",
        json={"subnet_id": subnet["id"], "name": "two"},
        headers={"Idempotency-Key": "key-1"},
    )
    assert_problem(again, 422, "idempotency-mismatch")
    other = api.tenant("once-other")
    made = other.post(
        "/v1/vpcs", json={"cidrs": ["10.0.0.0/16"]}, headers={"Idempotency-Key": "key-1"}
    )
    assert made.status_code == 201
    assert "idempotency-replayed" not in made.headers


def test_a_failed_request_does_not_use_up_its_key(api: Api) -> None:
    tenant = api.tenant("retry")
    headers = {"Idempotency-Key": "key-2"}
    bad = tenant.post("/v1/vpcs", json={"cidrs": ["10.0.0.1/16"]}, headers=headers)
    assert bad.status_code == 422
    good = tenant.post("/v1/vpcs", json={"cidrs": ["10.0.0.0/16"]}, headers=headers)
    assert good.status_code == 201
    replay = tenant.post("/v1/vpcs", json={"cidrs": ["10.0.0.0/16"]}, headers=headers)
    assert replay.headers["idempotency-replayed"] == "true"
    assert replay.content == good.content
    assert replay.headers["location"] == good.headers["location"]


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "ä"])
def test_odd_idempotency_keys_are_refused(api: Api, key: str) -> None:
    answer = api.tenant("retry").post(
        "/v1/vpcs",
        json={"cidrs": ["10.0.0.0/16"]},
        headers={"Idempotency-Key": key.encode("latin-1")},
    )
    assert_problem(answer, 422, "invalid")


def test_paging_misses_and_repeats_nothing_while_others_come_and_go(api: Api) -> None:
    tenant = api.tenant("pages")

    def make(number: int) -> str:
        body = {"cidrs": ["10.0.0.0/16"], "name": f"n{number}"}
        return tenant.post("/v1/vpcs", json=body).json()["id"]

    stay = [make(number) for number in range(10)]
    leave = [make(number) for number in range(10, 15)]
    seen: list[str] = []
    cursor = None
    while True:
        params = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = tenant.get("/v1/vpcs", params=params).raise_for_status().json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        make(100 + len(seen))
        if leave:
            tenant.delete(f"/v1/vpcs/{leave.pop()}").raise_for_status()
        assert len(seen) < 100
    assert len(seen) == len(set(seen))
    assert set(stay) <= set(seen)


def test_lists_filter_by_field_and_tag(api: Api) -> None:
    tenant = api.tenant("filters")
    for name, tags in (("a", {"env": "prod", "t": "x:y"}), ("b", {"env": "prod"}), ("b", {})):
        tenant.post("/v1/vpcs", json={"cidrs": ["10.0.0.0/16"], "name": name, "tags": tags})

    def names(**params: object) -> list[str]:
        answer = tenant.get("/v1/vpcs", params=params).raise_for_status()
        return [item["name"] for item in answer.json()["items"]]

    assert names() == ["a", "b", "b"]
    assert names(name="b") == ["b", "b"]
    assert names(tag="env:prod") == ["a", "b"]
    assert names(tag=["env:prod", "t:x:y"]) == ["a"]
    assert names(tag="env:prod", name="b") == ["b"]
    assert names(name="zzz") == []


def test_ports_filter_by_every_field(api: Api) -> None:
    tenant = api.tenant("port-filters")
    vpc, subnet = network(tenant)
    ports = [
        tenant.post("/v1/ports", json={"subnet_id": subnet["id"], "admin_up": up}).json()
        for up in (True, False)
    ]
    for params, expected in (
        ({"vpc_id": vpc["id"]}, ports),
        ({"subnet_id": subnet["id"]}, ports),
        ({"mac_address": ports[1]["mac_address"]}, ports[1:]),
        ({"fixed_ip": ports[0]["fixed_ips"][0], "vpc_id": vpc["id"]}, ports[:1]),
        ({"admin_up": "false"}, ports[1:]),
        ({"port_security": "true"}, ports),
        ({"host_id": "host-" + "0" * 17}, []),
    ):
        answer = tenant.get("/v1/ports", params=params)
        assert answer.status_code == 200, answer.text
        assert [item["id"] for item in answer.json()["items"]] == [port["id"] for port in expected]
    for params in ({"mac_address": "x"}, {"fixed_ip": "x"}, {"admin_up": "x"}):
        assert_problem(tenant.get("/v1/ports", params=params), 422, "invalid")
