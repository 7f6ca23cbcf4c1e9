"""A real API over HTTPS with a real database, in a thread of the test process."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import uvloop
from fastapi import FastAPI

from agent.enroll import Enrolled, EnrollmentPaths, enroll
from api.app import create_app
from api.listeners import parse_listener
from api.server import Bound, bind_all, serve
from vpcctl.pki import tls
from vpcctl.pki.directory import PkiDirectory
from vpcctl.pki.files import Credentials
from vpcctl.pki.keeper import ServerKeeper
from vpcctl.services.facade import Services, ServiceSettings
from vpcctl.services.views import Actor, HostCreate
from vpcctl.store.database import Database

ADMIN = Actor(role="admin", token_id="")
DEADLINE_S = 20.0


class Clock:
    """The present, which the test can move on."""

    def __init__(self) -> None:
        self.ahead = datetime.now(UTC) - datetime.now(UTC)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Controller:
    """A running API: HTTPS on one port, plain HTTP on the loopback beside it."""

    services: Services
    database: Database
    directory: PkiDirectory
    keeper: ServerKeeper
    clock: Clock
    https: str
    plain: str
    admin_secret: str

    @property
    def ca(self) -> str:
        return self.directory.server().ca.read_text()

    def new_host(self, name: str = "hv-1") -> str:
        return self.services.hosts.create(ADMIN, HostCreate(name)).meta.id

    def token(self, host_id: str) -> str:
        return self.services.pki.create_enrollment(ADMIN, host_id)[1]

    def client(
        self, secret: str | None, credentials: Credentials | None = None, *, plain: bool = False
    ) -> httpx.Client:
        """Return a client over HTTPS, which shows *credentials*; or one over plain HTTP."""
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        context = tls.client_context(self.ca, credentials)
        url = self.plain if plain else self.https
        return httpx.Client(
            base_url=url, headers=headers, verify=context, timeout=30.0, trust_env=False
        )

    def enroll(self, directory: Path, host_id: str) -> "Machine":
        """Enrol a machine as the host with the real agent code."""
        machine = Machine(directory)
        machine.enroll(self, self.token(host_id))
        return machine


@dataclass
class Machine:
    """A machine with an agent's files."""

    directory: Path
    enrolled: Enrolled | None = None

    @property
    def paths(self) -> EnrollmentPaths:
        return EnrollmentPaths(self.directory / "state", self.directory / "etc" / "token")

    @property
    def secret(self) -> str:
        return self.paths.token_file.read_text().strip()

    @property
    def credentials(self) -> Credentials:
        assert self.enrolled is not None
        return self.enrolled.credentials

    def enroll(self, controller: Controller, token: str) -> Enrolled:
        self.enrolled = enroll(controller.https, token, self.paths)
        return self.enrolled

    def client(self, controller: Controller) -> httpx.Client:
        return controller.client(self.secret, self.credentials)


@contextlib.contextmanager
def running_controller(directory: Path, url: str) -> Iterator[Controller]:
    """Run an API with an authority of its own for the time of a block."""
    clock = Clock()
    pki = PkiDirectory(directory / "pki")
    pki.initialise(["127.0.0.1"], now=datetime.now(UTC))
    run_dir = directory / "run"
    run_dir.mkdir(parents=True)
    database = Database.open(url)
    database.upgrade()
    services = Services(database, settings=ServiceSettings(pki_dir=pki.path), clock=clock)
    _, secret = services.tokens.create(ADMIN, "admin")
    keeper = ServerKeeper(pki, renews=True)
    app = create_app(services, run_dir=run_dir)
    bound = bind_all([parse_listener(text) for text in ("https://127.0.0.1:0", "127.0.0.1:0")])
    with _serving(app, bound, keeper.context(client_certificate_required=False)):
        https, plain = (one.url for one in bound)
        yield Controller(services, database, pki, keeper, clock, https, plain, secret)
    database.close()


@contextlib.contextmanager
def _serving(app: FastAPI, bound: tuple[Bound, ...], context: ssl.SSLContext) -> Iterator[None]:
    loop = uvloop.new_event_loop()
    stop, started = asyncio.Event(), threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            loop.run_until_complete(serve(app, bound, tls=context, stop=stop, started=started.set))
        except BaseException as error:
            failures.append(error)
        finally:
            started.set()
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(DEADLINE_S)
    try:
        assert not failures, failures
        yield
    finally:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)
        thread.join(DEADLINE_S)
        assert not thread.is_alive(), "the server does not stop"
