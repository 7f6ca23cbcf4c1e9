"""``python -m vpcctl.processes.api``: the API process."""

import asyncio
import sys

from fastapi import FastAPI

from api.app import create_app
from api.listeners import BadListener, parse_listener
from api.server import Bound, bind_all, serve
from api.tls import keeping
from vpcctl.pki.directory import PkiDirectory
from vpcctl.pki.errors import PkiError
from vpcctl.pki.keeper import ServerKeeper
from vpcctl.processes.common import configure_logging, give_up, limit_tls_buffers
from vpcctl.services.facade import Services, ServiceSettings
from vpcctl.settings import Settings
from vpcctl.store.database import Database
from vpcctl.store.wake import Waker


def main() -> int:
    """Serve the API until SIGTERM; return the exit code."""
    settings = Settings()
    configure_logging(settings)
    limit_tls_buffers()
    database = Database.open(settings.database_url)
    services = Services(
        database,
        settings=ServiceSettings(
            openflow_targets=settings.targets,
            report_interval_s=settings.report_interval_s,
            pki_dir=settings.pki_dir,
        ),
        waker=Waker(settings.run_dir),
    )
    app = create_app(services, run_dir=settings.run_dir)
    try:
        bound = bind_all([parse_listener(text) for text in settings.api_listen])
        asyncio.run(_serve(app, bound, settings))
    except (BadListener, PkiError) as error:
        return give_up(error)
    finally:
        database.close()
    return 0


async def _serve(app: FastAPI, bound: tuple[Bound, ...], settings: Settings) -> None:
    """Serve, and renew the controller's certificate, which the southbound shows too."""
    directory = PkiDirectory(settings.pki_dir)
    keeper = ServerKeeper(directory, renews=True)
    encrypted = any(listener.scheme == "tls" for listener in settings.api_listeners)
    tls = keeper.context(client_certificate_required=False) if encrypted else None
    async with keeping(keeper if directory.is_initialised else None):
        await serve(app, bound, tls=tls)


if __name__ == "__main__":
    sys.exit(main())
