"""Settings of the controller: one typed object, from flags, environment and a file.

A flag wins over the environment (``VPCCTL_<NAME>``), which wins over the TOML file
(``--config`` or ``VPCCTL_CONFIG``), which wins over the default.
"""

import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, SettingsConfigDict

PREFIX = "VPCCTL_"
CONFIG_VARIABLE = "VPCCTL_CONFIG"
OTHER_VARIABLES = (
    CONFIG_VARIABLE,
    "VPCCTL_API",
    "VPCCTL_TOKEN",
    "VPCCTL_TOKEN_FILE",
    "VPCCTL_CA_FILE",
    "VPCCTL_OUTPUT",
    "VPCCTL_LABS_DIR",
)
"""Variables that are no settings: of the client commands, and of the labs."""
_KUBERNETES = re.compile(r"VPCCTL_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_[A-Z]+(_\w+)?)?)")
"""What Kubernetes gives every container for a service that is called vpcctl."""

Scheme = Literal["plain", "tls", "unix"]
TextList = Annotated[tuple[str, ...], NoDecode]
MAX_FORWARDERS = 4
Quota = Annotated[int, Field(ge=0, le=1_000_000_000)]


class SettingsError(Exception):
    """A setting cannot be used.

    Attributes:
        field: its name, or None when the file as a whole cannot be read.
        origin: where the value came from: a flag, a variable or the file.
        accepted: what would have been accepted, or None.
    """

    def __init__(
        self, message: str, *, field: str | None, origin: str, accepted: str | None
    ) -> None:
        parts = [f"{field} ({origin})" if field else origin, message]
        if accepted:
            parts[-1] += f"; accepted: {accepted}"
        super().__init__(": ".join(parts))
        self.field = field
        self.origin = origin
        self.accepted = accepted


@dataclass(frozen=True, slots=True)
class Listener:
    """One place to listen at.

    Attributes:
        scheme: ``plain`` TCP, ``tls`` or ``unix``.
        host: address to bind; empty for ``unix``.
        port: TCP port; 0 for ``unix``.
        path: socket path of ``unix``, else None.
    """

    scheme: Scheme
    host: str = ""
    port: int = 0
    path: Path | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.scheme == "unix" or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_wildcard(self) -> bool:
        """Whether it binds every address, so that its own text is no target for anybody."""
        return self.host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound

    @property
    def authority(self) -> str:
        """``host:port``, with brackets around an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Settings(BaseSettings):
    """Everything that can be set, resolved and checked.

    ``Settings()`` reads the environment; :func:`load` adds flags and the file.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    state_dir: Path = Field(default_factory=lambda: default_state_dir())
    """Directory of the embedded database, the admin token and the TLS files."""

    run_dir: Path = Path()
    """Directory of wake-up sockets and the lock; default ``<state_dir>/run``."""

    database_url: str = ""
    """SQLAlchemy URL; default SQLite in ``state_dir``."""

    api_listen: TextList = ("127.0.0.1:8080",)
    """Where the API listens: ``host:port`` (loopback), ``unix:/path``, ``https://host:port``."""

    openflow_listen: TextList = ("tcp:127.0.0.1:6653",)
    """Where switches connect: ``tcp:host:port``, ``unix:/path``, ``ssl:host:port``."""

    openflow_targets: TextList | None = None
    """What agents set as br-int's controllers; default: the first of ``openflow_listen``."""

    openflow_allow_plain: bool = False
    """Allow unencrypted OpenFlow off the loopback: only for a network nobody else is on."""

    report_interval_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """Seconds between two link reports of an agent."""

    dns_forwarders: TextList = ()
    """Resolvers that hosts ask for names that are in no VPC's zone; none: such are refused."""

    audit_interval_s: Annotated[float, Field(gt=0, le=86400)] = 60.0
    """Seconds between two comparisons of a switch's flows with what they should be."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe message that is logged."""

    pki_dir: Path = Path()
    """Directory of the TLS authority, certificates and keys; default ``<state_dir>/pki``."""

    host_certificate_life_s: Annotated[float, Field(ge=15, le=34_560_000)] = 2_592_000.0
    """Seconds that a host's certificate is good for; agents renew it in time."""

    tenants_name_interfaces: bool = False
    """Let tenants name an OVS interface of a host in an attachment; else only admins may."""

    quota_vpcs: Quota = 1_000
    """VPCs of a tenant."""

    quota_subnets: Quota = 5_000
    """Subnets of a tenant."""

    quota_ports: Quota = 100_000
    """Ports of a tenant."""

    quota_security_groups: Quota = 2_500
    """Security groups of a tenant, beside the default group of each VPC."""

    quota_rules: Annotated[int, Field(ge=0, le=1_000)] = 200
    """Rules of a security group."""

    quota_address_groups: Quota = 100
    """Address groups of a tenant."""

    quota_cidrs: Annotated[int, Field(ge=0, le=10_000)] = 1_000
    """Blocks of an address group."""

    quota_network_acls: Quota = 200
    """Network ACLs of a tenant."""

    quota_entries: Annotated[int, Field(ge=0, le=1_000)] = 40
    """Entries of a network ACL, both directions together."""

    quota_dhcp_options: Quota = 1_000
    """Sets of DHCP options of a tenant."""

    quota_dns_records: Annotated[int, Field(ge=0, le=10_000)] = 1_000
    """DNS records of a VPC, each with the values of one name and type."""

    quota_route_tables: Quota = 2_000
    """Route tables of a tenant, beside the main one of each VPC."""

    quota_routes: Annotated[int, Field(ge=0, le=1_000)] = 100
    """Routes of a route table."""

    quota_internet_gateways: Quota = 1_000
    """Internet gateways of a tenant."""

    quota_nat_gateways: Quota = 200
    """NAT gateways of a tenant."""

    quota_eips: Quota = 1_000
    """EIPs of a tenant."""

    quota_forwards: Annotated[int, Field(ge=0, le=1_000)] = 100
    """Port forwards of a NAT gateway."""

    @field_validator(
        "api_listen", "openflow_listen", "openflow_targets", "dns_forwarders", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return _split_list(value) if isinstance(value, str) else value

    @field_validator("state_dir", "run_dir", "pki_dir")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        return value.expanduser().absolute() if value != Path() else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("api_listen")
    @classmethod
    def _check_api(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in _at_least_one(value, "127.0.0.1:8080"):
            listener = parse_api_listener(text)
            if listener.scheme == "plain" and not listener.is_loopback:
                raise _refused(f"{text} is not on the loopback", "https://host:port or unix:/path")
        return value

    @field_validator("dns_forwarders")
    @classmethod
    def _check_forwarders(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) > MAX_FORWARDERS:
            raise _refused(f"there are {len(value)}", f"at most {MAX_FORWARDERS} addresses")
        for text in value:
            try:
                ipaddress.ip_address(text)
            except ValueError:
                raise _refused(f"{text!r} is no IP address", "such as 192.0.2.53") from None
        return value

    @field_validator("openflow_listen")
    @classmethod
    def _check_openflow(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in _at_least_one(value, "tcp:127.0.0.1:6653"):
            parse_openflow_listener(text)
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        # The object is frozen for its users; only here, before anybody has it, it is completed.
        derived: dict[str, Any] = {}
        if self.run_dir == Path():
            derived["run_dir"] = self.state_dir / "run"
        if self.pki_dir == Path():
            derived["pki_dir"] = self.state_dir / "pki"
        if not self.database_url:
            derived["database_url"] = f"sqlite:///{self.state_dir / 'vpcctl.db'}"
        for name, value in derived.items():
            object.__setattr__(self, name, value)
        return self

    @property
    def token_file(self) -> Path:
        """Where the first start leaves the admin token, mode 0600."""
        return self.state_dir / "admin.token"

    @property
    def api_listeners(self) -> tuple[Listener, ...]:
        """``api_listen``, parsed."""
        return tuple(parse_api_listener(text) for text in self.api_listen)

    @property
    def openflow_listeners(self) -> tuple[Listener, ...]:
        """``openflow_listen``, parsed."""
        return tuple(parse_openflow_listener(text) for text in self.openflow_listen)

    @property
    def targets(self) -> tuple[str, ...]:
        """Controller targets for br-int.

        One by default: a switch that connects twice would be programmed twice.
        """
        return self.openflow_targets or self.openflow_listen[:1]

    def to_environment(self) -> dict[str, str]:
        """Return the variables that make ``Settings()`` equal to this in a child process."""
        variables = {}
        for name, value in self.model_dump(mode="json").items():
            if value is not None:
                text = value if isinstance(value, str) else json.dumps(value)
                variables[f"{PREFIX}{name.upper()}"] = text
        return variables


def default_state_dir() -> Path:
    """Return ``/var/lib/vpcctl`` for root, else the user's state directory (XDG)."""
    if os.geteuid() == 0:
        return Path("/var/lib/vpcctl")
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "vpcctl"


def load(
    config: Path | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings from *flags*, the environment, the file and defaults, in this order.

    Args:
        config: TOML file; None means the one that ``VPCCTL_CONFIG`` names, if any.
        flags: field name → value as given on the command line; a None value is not given.

    Raises:
        SettingsError: a value or the file cannot be used, or a variable names no setting; the first
            one is told.
    """
    _refuse_unknown_variables()
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    path = config or (
        Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None
    )
    from_file = _read_file(path) if path else {}
    from_environment = EnvSettingsSource(Settings)()
    lower = {name: value for name, value in from_file.items() if name not in from_environment}
    try:
        settings = Settings(**(lower | given))
        _check_reachability(settings)
    except ValidationError as error:
        raise _explain(error, given, from_environment, path) from None
    return settings


def parse_api_listener(text: str) -> Listener:
    """Return the listener written ``host:port``, ``unix:/path`` or ``https://host:port``.

    Raises:
        PydanticCustomError: the text is none of these.
    """
    accepted = "host:port, unix:/path or https://host:port"
    if text.startswith("unix:"):
        return _unix_listener(text, accepted)
    if text.startswith("https://"):
        return _tcp_listener("tls", text.removeprefix("https://").rstrip("/"), text, accepted)
    return _tcp_listener("plain", text.removeprefix("http://").rstrip("/"), text, accepted)


def parse_openflow_listener(text: str) -> Listener:
    """Return the listener written ``tcp:host:port``, ``unix:/path`` or ``ssl:host:port``.

    Raises:
        PydanticCustomError: the text is none of these.
    """
    accepted = "tcp:host:port, unix:/path or ssl:host:port"
    if text.startswith("unix:"):
        return _unix_listener(text, accepted)
    if text.startswith("ssl:"):
        return _tcp_listener("tls", text.removeprefix("ssl:"), text, accepted)
    if text.startswith("tcp:"):
        return _tcp_listener("plain", text.removeprefix("tcp:"), text, accepted)
    raise _refused(f"{text!r} cannot be listened at", accepted)


def _tcp_listener(scheme: Scheme, authority: str, text: str, accepted: str) -> Listener:
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:/\s]+):(\d{1,5})", authority)
    if found is None or int(found[2]) > 65535:
        raise _refused(f"{text!r} cannot be listened at", accepted)
    return Listener(scheme, host=found[1].strip("[]"), port=int(found[2]))


def _unix_listener(text: str, accepted: str) -> Listener:
    path = Path(text.removeprefix("unix:").removeprefix("//"))
    if not path.is_absolute() or len(os.fsencode(path)) > 107:
        raise _refused(f"{text!r} is no absolute path of at most 107 bytes", accepted)
    return Listener("unix", path=path)


def _split_list(value: str) -> object:
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            raise _refused(f"{value!r} is no JSON list", "a JSON list, or commas between") from None
    return [part.strip() for part in value.split(",") if part.strip()]


def _at_least_one(value: tuple[str, ...], example: str) -> tuple[str, ...]:
    if not value:
        raise _refused("nothing is listed", f"at least one, such as {example}")
    return value


def _refused(message: str, accepted: str) -> PydanticCustomError:
    # Passed as a value: pydantic fills in what stands between braces in the template.
    return PydanticCustomError("refused", "{message}", {"message": message, "accepted": accepted})


def _check_reachability(settings: Settings) -> None:
    for text, listener in zip(settings.openflow_listen, settings.openflow_listeners, strict=True):
        exposed = listener.scheme == "plain" and not listener.is_loopback
        if exposed and not settings.openflow_allow_plain:
            raise SettingsError(
                f"{text} is unencrypted and not on the loopback",
                field="openflow_listen",
                origin="resolved",
                accepted="ssl:host:port, unix:/path, or openflow_allow_plain = true",
            )
    if settings.openflow_targets is None and settings.openflow_listeners[0].is_wildcard:
        raise SettingsError(
            f"{settings.openflow_listen[0]} is no address that a switch could connect to",
            field="openflow_targets",
            origin="default",
            accepted="how hosts reach this controller, such as ssl:192.0.2.1:6653",
        )


def _refuse_unknown_variables() -> None:
    """Refuse what begins like our variables and is none: it is one that is written wrong.

    Raises:
        SettingsError: naming the first such, and the nearest that there are.
    """
    known = [*(f"{PREFIX}{name.upper()}" for name in Settings.model_fields), *OTHER_VARIABLES]
    for variable in sorted(os.environ):
        name = variable.upper()  # pydantic takes any case
        if name.startswith(PREFIX) and name not in known and not _KUBERNETES.fullmatch(name):
            from difflib import get_close_matches

            raise SettingsError(
                "there is no such variable",
                field=None,
                origin=variable,
                accepted=", ".join(get_close_matches(name, known) or known),
            )


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(
            f"cannot be read: {error.strerror}", field=None, origin=str(path), accepted=None
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(str(error), field=None, origin=str(path), accepted="TOML") from None
    unknown = sorted(set(values) - set(Settings.model_fields))
    if unknown:
        raise SettingsError(
            "there is no such setting",
            field=unknown[0],
            origin=str(path),
            accepted=", ".join(Settings.model_fields),
        )
    return values


def _explain(
    error: ValidationError,
    flags: Mapping[str, Any],
    environment: Mapping[str, Any],
    path: Path | None,
) -> SettingsError:
    first = error.errors()[0]
    field = str(first["loc"][0]) if first["loc"] else "settings"
    if field in flags:
        origin = f"--{field.replace('_', '-')}"
    elif field in environment:
        origin = f"{PREFIX}{field.upper()}"
    else:
        origin = str(path) if path else "default"
    accepted = first.get("ctx", {}).get("accepted")
    return SettingsError(first["msg"], field=field, origin=origin, accepted=accepted)
