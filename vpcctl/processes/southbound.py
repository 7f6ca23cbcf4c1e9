"""``python -m vpcctl.processes southbound``: the southbound process."""

import ssl

from vpcctl import memory
from vpcctl.pki.directory import PkiDirectory
from vpcctl.pki.errors import PkiError
from vpcctl.pki.keeper import ServerKeeper
from vpcctl.processes.common import (
    allow_many_files,
    collect_seldom,
    configure_logging,
    give_up,
    limit_tls_buffers,
    take_name,
    take_short_turns,
)
from vpcctl.readiness import note_started
from vpcctl.settings import Settings
from vpcctl.southbound.engine import EngineSettings
from vpcctl.southbound.main import SouthboundConfig, run
from vpcctl.southbound.transport.listener import ListenError


def main() -> int:
    """Program switches until SIGTERM; return the exit code."""
    take_name("vpc-southbound")
    settings = Settings()
    configure_logging(settings)
    limit_tls_buffers()
    memory.keep_small()
    take_short_turns()
    collect_seldom()
    allow_many_files()
    config = SouthboundConfig(
        database_url=settings.database_url,
        run_dir=settings.run_dir,
        listen=settings.openflow_listen,
        tls=_tls(settings),
        allow_plain=settings.openflow_allow_plain,
        engine=EngineSettings(audit_interval_s=settings.audit_interval_s),
        log_level=settings.log_level,
    )
    try:
        run(config, lambda _: note_started(str(settings.run_dir), "southbound"))
    except (ListenError, PkiError, OSError) as error:
        return give_up(error)
    return 0


class _Tls:
    """The controller's certificate, which the API process renews."""

    def __init__(self, settings: Settings) -> None:
        self._keeper = ServerKeeper(PkiDirectory(settings.pki_dir), renews=False)

    def context(self) -> ssl.SSLContext:
        """Return a context that demands a host's certificate."""
        return self._keeper.context(client_certificate_required=True)

    def reload(self) -> bool:
        """Take over what was renewed."""
        return self._keeper.reload()


def _tls(settings: Settings) -> _Tls | None:
    encrypted = any(listener.scheme == "tls" for listener in settings.openflow_listeners)
    return _Tls(settings) if encrypted else None
