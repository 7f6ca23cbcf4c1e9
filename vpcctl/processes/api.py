"""``python -m vpcctl.processes.api``: the API process."""

import asyncio
import sys

from api.app import create_app
from api.listeners import BadListener, TlsFiles, parse_listener
from api.server import bind_all, serve

from vpcctl.processes.common import configure_logging, give_up, server_files
from vpcctl.services.facade import Services, ServiceSettings
from vpcctl.settings import Settings
from vpcctl.store.database import Database
from vpcctl.store.wake import Waker


def main() -> int:
    """Serve the API until SIGTERM; return the exit code."""
    settings = Settings()
    configure_logging(settings)
    database = Database.open(settings.database_url)
    services = Services(
        database,
        settings=ServiceSettings(
            openflow_targets=settings.targets, report_interval_s=settings.report_interval_s
        ),
        waker=Waker(settings.run_dir),
    )
    app = create_app(services, run_dir=settings.run_dir)
    try:
        bound = bind_all([parse_listener(text) for text in settings.api_listen])
        asyncio.run(serve(app, bound, tls=_tls_files(settings)))
    except BadListener as error:
        return give_up(error)
    finally:
        database.close()
    return 0


def _tls_files(settings: Settings) -> TlsFiles | None:
    if all(listener.scheme != "tls" for listener in settings.api_listeners):
        return None
    certificate, key, authority = server_files(settings)
    return TlsFiles(certificate=certificate, key=key, ca=authority)


if __name__ == "__main__":
    sys.exit(main())
