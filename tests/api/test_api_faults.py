"""The API while its database is away, and tokens that another process revokes."""

import secrets
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from tests.api.support import ADMIN, Api, assert_problem, frames, running_api, wait_until
from tests.support.postgres import ROLE, Cluster


class OwnDatabase:
    """A database that a test may shut away from everybody."""

    def __init__(self, cluster: Cluster) -> None:
        self._name = f"own_{secrets.token_hex(4)}"
        self._host = str(cluster.directory)
        self._do(f"CREATE DATABASE {self._name}")
        self.url = f"postgresql://{ROLE}@/{self._name}?host={quote(self._host, safe='')}"

    def _do(self, statement: str) -> None:
        with psycopg.connect(
            host=self._host, user=ROLE, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement)  # type: ignore[arg-type]

    def close(self) -> None:
        self._do(f"ALTER DATABASE {self._name} WITH ALLOW_CONNECTIONS false")
        self._do(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "  # noqa: S608
            f"WHERE datname = '{self._name}'"
        )

    def open(self) -> None:
        self._do(f"ALTER DATABASE {self._name} WITH ALLOW_CONNECTIONS true")


@pytest.mark.postgres
def test_the_database_goes_away_and_comes_back(postgres: Cluster, tmp_path: Path) -> None:
    own = OwnDatabase(postgres)
    with running_api(tmp_path, own.url) as api:
        tenant = api.tenant("faults")
        vpc = tenant.post("/v1/vpcs", json={"cidrs": ["10.0.0.0/16"]}).json()
        path = f"/v1/vpcs/{vpc['id']}"
        with tenant.stream("GET", "/v1/events", params={"after": str(vpc["revision"])}) as stream:
            lines = stream.iter_lines()
            next(lines)
            own.close()
            for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
                answer = tenant.request(method, path, json=body)
                assert_problem(answer, 503, "unavailable")
                assert int(answer.headers["retry-after"]) >= 1
            assert api.client().get("/healthz").status_code == 200
            assert_problem(api.client().get("/readyz"), 503, "unavailable")
            wait_until(
                lambda: "vpcctl_database_up 0.0" in api.client().get("/metrics").text, "it is told"
            )
            own.open()
            wait_until(lambda: tenant.get(path).status_code == 200, "it is back")
            assert api.client().get("/readyz").status_code == 200
            changed = tenant.patch(path, json={"name": "after"}).raise_for_status().json()
            assert next(frames(lines))["data"]["revision"] == changed["revision"]


def test_a_stream_that_begins_without_the_database_goes_on_with_it(
    postgres: Cluster, tmp_path: Path
) -> None:
    own = OwnDatabase(postgres)
    with running_api(tmp_path, own.url) as api:
        tenant = api.tenant("faults")
        vpc = tenant.post("/v1/vpcs", json={"cidrs": ["10.0.0.0/16"]}).json()
        after = str(vpc["revision"] - 1)
        own.close()
        with tenant.stream("GET", "/v1/events", params={"after": after}) as stream:
            assert stream.status_code == 200
            lines = stream.iter_lines()
            assert next(lines).startswith("retry")
            own.open()
            assert next(frames(lines))["data"]["resource_id"] == vpc["id"]


def test_a_token_revoked_elsewhere_ends_soon(own_api: Api) -> None:
    token, secret = own_api.services.tokens.create(ADMIN, "tenant", tenant_id="soon")
    client = own_api.client(secret)
    assert client.get("/v1/vpcs").status_code == 200
    own_api.services.tokens.revoke(ADMIN, token.id)
    wait_until(lambda: client.get("/v1/vpcs").status_code == 401, "it is refused", 3.0)


def test_a_hosts_token_goes_with_the_host(own_api: Api) -> None:
    host_id, agent = own_api.host("leaving")
    assert agent.get(f"/v1/hosts/{host_id}/state").status_code == 200
    own_api.admin.delete(f"/v1/hosts/{host_id}").raise_for_status()
    answer = agent.get(f"/v1/hosts/{host_id}/state")
    assert_problem(answer, answer.status_code)
    assert answer.status_code in (401, 404)
