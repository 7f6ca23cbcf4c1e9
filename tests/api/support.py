"""A real API over HTTP with a real database, in threads of the test process."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop

from api.app import create_app
from api.config import ApiConfig
from api.listeners import TlsFiles, parse_listener
from api.server import Bound, bind_all, serve
from vpcctl.processes.common import log_from
from vpcctl.services.facade import Services
from vpcctl.services.views import Actor
from vpcctl.store.database import Database
from vpcctl.store.realisation import HostRealised, RealisationStore
from vpcctl.store.southbound import SouthboundClient
from vpcctl.store.wake import WakeListener, Waker
from vpcctl.wire.report import HostFacts, Link, digest

BOTH = pytest.mark.parametrize(
    "api",
    ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)],
    indirect=True,
    scope="module",
)
ADMIN = Actor(role="admin", token_id="")
DEADLINE_S = 20.0


def wait_until(condition: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """Return the condition's first true value; fail when there is none in time."""
    end = time.monotonic() + deadline_s
    while True:
        if value := condition():
            return value
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.005)


@dataclass
class Api:
    """A running API."""

    services: Services
    database: Database
    waker: Waker
    app: Any
    bound: tuple[Bound, ...]
    admin_secret: str
    stop: Callable[[], None]
    clients: list[httpx.Client] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.bound[0].url

    @property
    def admin(self) -> httpx.Client:
        return self.client(self.admin_secret)

    def client(self, secret: str | None = None, **options: Any) -> httpx.Client:
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        made = httpx.Client(
            base_url=self.url, headers=headers, timeout=30.0, trust_env=False, **options
        )
        self.clients.append(made)
        return made

    def tenant(self, name: str) -> httpx.Client:
        _, secret = self.services.tokens.create(ADMIN, "tenant", tenant_id=name)
        return self.client(secret)

    def host(self, name: str) -> tuple[str, httpx.Client]:
        host = self.admin.post("/v1/hosts", json={"name": name}).raise_for_status().json()
        _, secret = self.services.tokens.create(ADMIN, "host", host_id=host["id"])
        return host["id"], self.client(secret)

    @property
    def southbound(self) -> RealisationStore:
        return RealisationStore(self.database, self.waker)

    def realise(self, *hosts: str, revision: int, state: str = "in_sync") -> None:
        """Do what the southbound does after a round."""
        done = [HostRealised(host, revision, state, None, 10) for host in hosts]
        self.southbound.record(revision, done)


@contextlib.contextmanager
def running_api(
    directory: Path,
    url: str | None = None,
    config: ApiConfig | None = None,
    *extra: str,
    tls: TlsFiles | None = None,
) -> Iterator[Api]:
    """Run an API on a free port (and *extra* listeners) for the time of a block."""
    log_from("critical")
    database = Database.open(url or f"sqlite:///{directory / 'vpcctl.db'}")
    database.upgrade()
    run_dir = directory / "run"
    run_dir.mkdir(exist_ok=True)
    waker = Waker(run_dir)
    southbound = WakeListener(run_dir, "network")  # as its process would, whose part tests play
    services = Services(database, waker=waker, southbound=SouthboundClient(run_dir))
    _, secret = services.tokens.create(ADMIN, "admin")
    app = create_app(services, run_dir=run_dir, config=config)
    bound = bind_all([parse_listener(text) for text in ("127.0.0.1:0", *extra)])
    with _thread(app, bound, tls) as stop:
        api = Api(services, database, waker, app, bound, secret, stop)
        try:
            yield api
        finally:
            for client in api.clients:
                client.close()
    southbound.close()
    waker.close()
    database.close()


@contextlib.contextmanager
def _thread(
    app: Any, bound: tuple[Bound, ...], tls: TlsFiles | None
) -> Iterator[Callable[[], None]]:
    loop = uvloop.new_event_loop()
    stop = asyncio.Event()
    started = threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            loop.run_until_complete(serve(app, bound, tls=tls, stop=stop, started=started.set))
        except BaseException as error:
            failures.append(error)
        finally:
            started.set()
            loop.close()

    def end() -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)
        thread.join(DEADLINE_S)
        assert not thread.is_alive(), "the server does not stop"

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(DEADLINE_S)
    try:
        yield end
    finally:
        end()
        assert not failures, failures


def report(
    sequence: int,
    links: tuple[Link, ...] | None = (),
    *,
    vtep: str = "192.0.2.1",
    boot: int = 1,
    **more: Any,
) -> dict[str, Any]:
    """Return a link report, with *more* facts, as JSON members."""
    values = {"datapath_type": "netdev", "nd_extensions": True, "tunnel_ofport": 1, **more}
    facts = HostFacts(vtep_address=vtep, **values)
    body: dict[str, Any] = {
        "agent_id": "0" * 32,
        "boot": boot,
        "sequence": sequence,
        "digest": digest(facts, links or ()),
    }
    if links is not None:
        body["facts"] = facts.model_dump(mode="json")
        body["links"] = [link.model_dump(mode="json") for link in links]
    return body


def network(
    client: httpx.Client, cidr: str = "10.0.0.0/16"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Create a VPC and a subnet."""
    vpc = client.post("/v1/vpcs", json={"cidrs": [cidr]})
    assert vpc.status_code == 201, vpc.text
    body = {"vpc_id": vpc.json()["id"], "cidr": cidr.replace("/16", "/24")}
    subnet = client.post("/v1/subnets", json=body)
    assert subnet.status_code == 201, subnet.text
    return vpc.json(), subnet.json()


def assert_problem(answer: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """Check that *answer* is a problem document and return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["type"] == f"urn:vpcctl:problem:{body['code']}"
    assert body["instance"] == answer.headers["x-request-id"]
    if code is not None:
        assert body["code"] == code
    return body


def frames(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Yield the events of a stream with their ids."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line and name:
            fields[name] = value
        elif not line:
            if "data" in fields:
                yield {**fields, "data": json.loads(fields["data"])}
            fields = {}
