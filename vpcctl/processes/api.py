"""``python -m vpcctl.processes api``: the API process."""

import contextlib
import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import uvloop
from fastapi import FastAPI

from api.app import create_app
from api.listeners import BadListener, parse_listener
from api.server import Bound, bind_all, serve
from api.tls import keeping
from vpcctl import memory
from vpcctl.pki.directory import PkiDirectory
from vpcctl.pki.errors import PkiError
from vpcctl.pki.keeper import ServerKeeper
from vpcctl.processes.common import (
    allow_many_files,
    collect_seldom,
    configure_logging,
    give_up,
    take_name,
    take_short_turns,
)
from vpcctl.readiness import note_started
from vpcctl.services.facade import Quotas, Services, ServiceSettings
from vpcctl.settings import Settings
from vpcctl.store.database import Database
from vpcctl.store.southbound import SouthboundClient
from vpcctl.store.wake import NotifyRelay, Waker


def main() -> int:
    """Serve the API until SIGTERM; return the exit code."""
    take_name("vpc-api")
    settings = Settings()
    configure_logging(settings)
    memory.keep_small()
    take_short_turns()
    collect_seldom()
    allow_many_files()
    try:
        with _database(settings) as database, _relay(database, settings.run_dir):
            _run(database, settings)
    except (ValueError, PkiError) as error:  # a listener or the database's URL, told in one line
        return give_up(error)
    return 0


def _run(database: Database, settings: Settings) -> None:
    """Serve until a signal ends it.

    Raises:
        BadListener: it cannot listen as it was told.
        PkiError: HTTPS is asked for, and the keys cannot be used.
    """
    waker = Waker(settings.run_dir)
    services = Services(
        database,
        settings=ServiceSettings(
            openflow_targets=settings.targets,
            report_interval_s=settings.report_interval_s,
            dns_forwarders=settings.dns_forwarders,
            pki_dir=settings.pki_dir,
            tenants_name_interfaces=settings.tenants_name_interfaces,
            host_certificate_life=timedelta(seconds=settings.host_certificate_life_s),
            quotas=quotas_of(settings),
        ),
        waker=waker,
        southbound=SouthboundClient(settings.run_dir),
    )
    app = create_app(services, run_dir=settings.run_dir)
    try:
        bound = bind_all([parse_listener(text) for text in settings.api_listen])
        uvloop.run(_serve(app, bound, settings))
    finally:
        waker.close()


def quotas_of(settings: Settings) -> Quotas:
    """Return the quotas that are set: setting ``quota_x`` is quota ``x``."""
    names = [field.name for field in dataclasses.fields(Quotas)]
    return Quotas(**{name: getattr(settings, f"quota_{name}") for name in names})


async def _serve(app: FastAPI, bound: tuple[Bound, ...], settings: Settings) -> None:
    """Serve, and renew the controller's certificate, which the southbound shows too."""
    directory, run_dir = PkiDirectory(settings.pki_dir), str(settings.run_dir)
    encrypted = any(listener.scheme == "tls" for listener in settings.api_listeners)
    if encrypted and not directory.is_initialised:
        raise BadListener("https needs keys: run 'vpcctl pki init'")
    keeper = ServerKeeper(directory, renews=True)
    tls = keeper.context(client_certificate_required=False) if encrypted else None
    async with keeping(keeper if directory.is_initialised else None):
        await serve(app, bound, tls=tls, started=lambda: note_started(run_dir, "api"))


@contextlib.contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    database = Database.open(settings.database_url)
    try:
        yield database
    finally:
        database.close()


@contextlib.contextmanager
def _relay(database: Database, run_dir: Path) -> Iterator[None]:
    """Pass on what other machines' processes tell by the database, where it can."""
    if database.is_embedded:
        yield
        return
    relay = NotifyRelay(database.url, run_dir)
    relay.start()
    try:
        yield
    finally:
        relay.stop()
