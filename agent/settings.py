"""Settings of the agent: flags over environment over a TOML file over defaults."""

import ipaddress
import os
import re
import stat
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from agent import pki
from vpcctl.model import ids
from vpcctl.pki.errors import PkiError

_PROVIDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_DEVICE = re.compile(r"[^/\s=,]{1,15}")
_PROVIDERS = (
    "expected provider networks with a bridge or device each, such as public=br-ex,lab=eth2:"
    " names of letters, digits, '.', '_', '-', and of at most 15 characters for devices"
)

CONFIG_VARIABLE = "VPC_AGENT_CONFIG"


class SettingsError(ValueError):
    """A setting cannot be used; the text says which and why."""


class Settings(BaseSettings):
    """What one agent has to know. Environment variables carry the prefix ``VPC_AGENT_``.

    Attributes:
        host_id: the host that this machine is, as the controller named it.
        api_url: ``http://127.0.0.1:8080``, ``https://…`` or ``unix:/path.sock``.
        api_ca: file with the CA that signed the API's certificate (``https`` only).
        token: bearer token of the host; better in a file.
        token_file: file with the token, readable by its owner alone.
        ovsdb: OVSDB server.
        ovs_rundir: directory with ovs-vswitchd's pid file and control socket.
        state_dir: where the agent keeps its id, boot counter and last host state.
        netns_dir: where network namespaces have their names.
        bridge: name of the integration bridge.
        underlay_bridge: name of the bridge that the userspace datapath needs for the underlay.
        datapath: ``system`` (the kernel's), ``netdev`` (userspace) or ``auto``: the kernel's
            where the kernel has it.
        neighbour_discovery: who answers for IPv6 gateways: ``flows``, which the userspace datapath
            alone can do, the ``agent``, or ``auto``: flows where they can.
        vtep_address: local tunnel address; when empty it is taken from the underlay device, and
            without that it is the address that the controller is reached from.
        underlay_device: device that carries the tunnels; found by the address when empty.
        vxlan_port: UDP port of VXLAN.
        providers: provider network → bridge that leads to it, or device, which is put into a
            bridge of its own; as a text ``public=br-ex,lab=eth2``.
        openflow_key: private key for ``ssl:`` controller targets, with the two files below.
        openflow_certificate: certificate for them.
        openflow_ca: CA that signed the controller's certificate.
        log_level: ``debug``, ``info``, ``warning`` or ``error``.
    """

    model_config = SettingsConfigDict(env_prefix="VPC_AGENT_", extra="forbid")

    host_id: str = ""
    api_url: str = "http://127.0.0.1:8080"
    api_ca: Path | None = None
    token: str | None = Field(default=None, repr=False)
    token_file: Path | None = None
    ovsdb: str = "unix:/var/run/openvswitch/db.sock"
    ovs_rundir: Path = Path("/var/run/openvswitch")
    state_dir: Path = Path("/var/lib/vpc-agent")
    netns_dir: Path = Path("/run/netns")
    bridge: str = Field(default="br-int", min_length=1, max_length=15)
    underlay_bridge: str = Field(default="br-underlay", min_length=1, max_length=15)
    datapath: Literal["auto", "system", "netdev"] = "auto"
    neighbour_discovery: Literal["auto", "flows", "agent"] = "auto"
    vtep_address: str | None = None
    underlay_device: str | None = None
    vxlan_port: int = Field(default=4789, ge=1, le=65535)
    providers: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict[str, str])
    openflow_key: Path | None = None
    openflow_certificate: Path | None = None
    openflow_ca: Path | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("host_id")
    @classmethod
    def _is_host_id(cls, value: str) -> str:
        if value and not ids.is_id("host", value):
            raise ValueError("expected a host id such as host-0a1b2c3d4e5f60718")
        return value

    @field_validator("vtep_address")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if not value:
            return None
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            raise ValueError("expected an IPv4 or IPv6 address of this host") from None

    @field_validator("providers", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = [part.strip().partition("=") for part in value.split(",") if part.strip()]
        names = [name.strip() for name, _, _ in parts]
        if not all(separator for _, separator, _ in parts) or len(set(names)) < len(names):
            raise ValueError(_PROVIDERS)
        return {name.strip(): target.strip() for name, _, target in parts}

    @field_validator("providers")
    @classmethod
    def _are_providers(cls, value: dict[str, str]) -> dict[str, str]:
        targets = list(value.values())
        if not all(_PROVIDER.fullmatch(name) for name in value) or not all(
            _DEVICE.fullmatch(target) for target in targets
        ):
            raise ValueError(_PROVIDERS)
        if len(set(targets)) < len(targets):
            raise ValueError("expected another bridge or device for each provider")
        return value

    @field_validator("underlay_device")
    @classmethod
    def _empty_is_none(cls, value: str | None) -> str | None:
        return value or None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then environment, then the TOML file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    def secret(self) -> str | None:
        """Return the bearer token, or None when none is set.

        Raises:
            SettingsError: the token file is not there, or others may read it.
        """
        if self.token_file is None:
            return self.token
        try:
            mode = self.token_file.stat().st_mode
            text = self.token_file.read_text().strip()
        except OSError as error:
            raise SettingsError(f"token file {self.token_file}: {error.strerror}") from error
        if stat.S_IMODE(mode) & 0o077:
            raise SettingsError(f"token file {self.token_file}: others may read it; chmod 600")
        return text


def load(flags: dict[str, Any], config: str | None = None) -> Settings:
    """Return the settings.

    Args:
        flags: what was given on the command line.
        config: TOML file; without it the one that ``VPC_AGENT_CONFIG`` names, if any.

    Raises:
        SettingsError: a value or the file cannot be used.
    """
    path = config or os.environ.get(CONFIG_VARIABLE)
    if path is None:
        return _as_enrolled(_make(Settings, flags))
    if not Path(path).is_file():
        raise SettingsError(f"there is no file {path}")

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=path)

    return _as_enrolled(_make(FromFile, flags))


def default_token_file(state_dir: Path) -> Path:
    """Return where enrolment leaves the host's token."""
    return state_dir / "token"


def _as_enrolled(settings: Settings) -> Settings:
    """Return the settings with what enrolment has left on this machine, where nothing was given.

    Raises:
        SettingsError: the machine was enrolled as another host than the one given.
    """
    store = pki.open_store(settings.state_dir)
    try:
        credentials = store.current()
        if credentials is None:
            return settings
        host_id = pki.about(credentials).host_id
    except (PkiError, OSError) as error:
        raise SettingsError(f"{store.link}: {error}") from error
    if settings.host_id not in ("", host_id):
        raise SettingsError(f"host_id is {settings.host_id}, but {store.link} is of {host_id}")
    found: dict[str, Any] = {"host_id": host_id}
    if settings.api_ca is None:
        found["api_ca"] = store.link / "ca.pem"
    if settings.token is None and settings.token_file is None:
        found["token_file"] = default_token_file(settings.state_dir)
    return settings.model_copy(update=found)


def _make(source: type[Settings], flags: dict[str, Any]) -> Settings:
    try:
        return source(**flags)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"{where}: {first['msg']}") from error
    except (ValueError, OSError) as error:
        raise SettingsError(str(error)) from error
