"""``python -m vpcctl.processes.southbound``: the southbound process."""

import sys

from vpcctl.processes.common import configure_logging, give_up, server_files
from vpcctl.settings import Settings
from vpcctl.southbound.engine import EngineSettings
from vpcctl.southbound.main import SouthboundConfig, run
from vpcctl.southbound.transport.listener import ListenError, TlsFiles


def main() -> int:
    """Program switches until SIGTERM; return the exit code."""
    settings = Settings()
    configure_logging(settings)
    config = SouthboundConfig(
        database_url=settings.database_url,
        run_dir=settings.run_dir,
        listen=settings.openflow_listen,
        tls=_tls_files(settings),
        allow_plain=settings.openflow_allow_plain,
        engine=EngineSettings(audit_interval_s=settings.audit_interval_s),
        log_level=settings.log_level,
    )
    try:
        run(config)
    except (ListenError, OSError) as error:
        return give_up(error)
    return 0


def _tls_files(settings: Settings) -> TlsFiles | None:
    if all(listener.scheme != "tls" for listener in settings.openflow_listeners):
        return None
    certificate, key, authority = server_files(settings)
    return TlsFiles(certificate=certificate, key=key, ca=authority)


if __name__ == "__main__":
    sys.exit(main())
