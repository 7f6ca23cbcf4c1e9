"""Which controller to talk to and with which token."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from vpcctl.cli.errors import CliError, Exit

DEFAULT_API = "http://127.0.0.1:8080"
_ACCEPTED = "http://host:port, https://host:port or unix:/path"


@dataclass(frozen=True, slots=True)
class Target:
    """Where the API is.

    Attributes:
        api: ``http://host:port``, ``https://host:port`` or ``unix:/path``.
        token_file: file with the bearer token, as a flag gave it; None: see :meth:`token`.
        ca_file: authority that signed the API's certificate, needed for ``https://``: the
            system's authorities are not trusted.
    """

    api: str = DEFAULT_API
    token_file: Path | None = None
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what is no address of an API.

        Raises:
            CliError: it is none.
        """
        if self.socket is None and not _is_url(self.api):
            raise CliError(f"api: {self.api!r} is no address of an API; accepted: {_ACCEPTED}")

    @property
    def socket(self) -> str | None:
        """Path of the Unix socket, None over TCP."""
        return self.api.removeprefix("unix:") if self.api.startswith("unix:") else None

    @property
    def base_url(self) -> str:
        """The URL that paths are appended to."""
        if self.socket:
            return "http://localhost"
        return (self.api if "://" in self.api else f"http://{self.api}").rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it: a Unix socket or the loopback."""
        host = urlsplit(self.base_url).hostname or ""
        return host == "localhost" or host == "::1" or host.startswith("127.")

    def token(self) -> str:
        """Return the secret: of the flag's file, else ``VPCCTL_TOKEN``, else of a file found.

        Raises:
            CliError: there is none, or the file cannot be read.
        """
        if self.token_file is None and os.environ.get("VPCCTL_TOKEN"):
            return os.environ["VPCCTL_TOKEN"].strip()
        path = self.token_file or _token_file_found()
        try:
            secret = path.read_text().strip()
        except OSError as error:
            hint = "; set VPCCTL_TOKEN or VPCCTL_TOKEN_FILE, or pass --token-file"
            raise CliError(f"token: {path}: {error.strerror}{hint}", Exit.AUTH) from None
        if not secret:
            raise CliError(f"token: {path} is empty", Exit.AUTH)
        return secret


def _is_url(text: str) -> bool:
    """Tell whether *text* is ``host:port`` or an HTTP URL."""
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(
            parts.hostname and (parts.port or "://" in text)
        )
    except ValueError:  # a port that is no number, or a bracket too many
        return False


def _token_file_found() -> Path:
    """Return the token file that no flag gave: of ``VPCCTL_TOKEN_FILE``, else the default one."""
    named = os.environ.get("VPCCTL_TOKEN_FILE")
    return Path(named) if named else default_token_file()


def default_token_file() -> Path:
    """Return where ``vpcctl serve`` leaves the admin token of the same user."""
    if state := os.environ.get("VPCCTL_STATE_DIR"):
        return Path(state) / "admin.token"
    if os.geteuid() == 0:
        return Path("/var/lib/vpcctl/admin.token")
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "vpcctl" / "admin.token"
