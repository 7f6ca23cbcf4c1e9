"""Settings of the agent: flags over environment over a TOML file over defaults."""

import ipaddress
import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from agent import pki
from vpcctl.model import ids
from vpcctl.pki.errors import PkiError

_PROVIDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_LONGEST_NAME = 15
"""Of a device; Open vSwitch's bridges are some."""
_MAX_PORT = 65535
_DEVICE = re.compile(r"[^/\s=,]{1,15}")
_PROVIDERS = (
    "expected provider networks with a bridge or device each, such as public=br-ex,lab=eth2:"
    " names of letters, digits, '.', '_', '-', and of at most 15 characters for devices"
)

CONFIG_VARIABLE = "VPC_AGENT_CONFIG"
_PREFIX = "vpc_agent_"


class SettingsError(ValueError):
    """A setting cannot be used; the text says which and why."""


@dataclass(frozen=True, kw_only=True)
class Settings:
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

    host_id: str = ""
    api_url: str = "http://127.0.0.1:8080"
    api_ca: Path | None = None
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    ovsdb: str = "unix:/var/run/openvswitch/db.sock"
    ovs_rundir: Path = Path("/var/run/openvswitch")
    state_dir: Path = Path("/var/lib/vpc-agent")
    netns_dir: Path = Path("/run/netns")
    bridge: str = "br-int"
    underlay_bridge: str = "br-underlay"
    datapath: Literal["auto", "system", "netdev"] = "auto"
    neighbour_discovery: Literal["auto", "flows", "agent"] = "auto"
    vtep_address: str | None = None
    underlay_device: str | None = None
    vxlan_port: int = 4789
    providers: dict[str, str] = field(default_factory=dict[str, str])
    openflow_key: Path | None = None
    openflow_certificate: Path | None = None
    openflow_ca: Path | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"

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

    def told(self) -> str:
        """Return what another process reads these settings from; see :func:`heard`."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps(given, default=str)


def heard(text: str) -> Settings:
    """Return the settings that another process of the agent has told.

    Raises:
        SettingsError: they cannot be used.
    """
    return _made(json.loads(text))


def load(flags: dict[str, Any], config: str | None = None) -> Settings:
    """Return the settings.

    Args:
        flags: what was given on the command line.
        config: TOML file; without it the one that ``VPC_AGENT_CONFIG`` names, if any.

    Raises:
        SettingsError: a value or the file cannot be used, or a variable names no setting.
    """
    path = config or os.environ.get(CONFIG_VARIABLE)
    file = {} if path is None else _from_file(Path(path))
    return _as_enrolled(_made({**file, **_from_environment(), **flags}))


def _from_file(path: Path) -> dict[str, Any]:
    """Return what a TOML file says.

    Raises:
        SettingsError: it cannot be read.
    """
    import tomllib

    if not path.is_file():
        raise SettingsError(f"there is no file {path}")
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {error}") from error


def _from_environment() -> dict[str, str]:
    """Return what variables say, in whatever case their names are.

    Raises:
        SettingsError: one begins like ours and is none: it is one that is written wrong.
    """
    given: dict[str, str] = {}
    for variable, value in os.environ.items():
        name = variable.lower()
        if not name.startswith(_PREFIX) or name == CONFIG_VARIABLE.lower():
            continue
        if (setting := name.removeprefix(_PREFIX)) not in _READ:
            raise SettingsError(f"{variable}: there is no such variable; {_nearest(name)}")
        given[setting] = value
    return given


def _nearest(name: str) -> str:
    """Return the variables that are nearest to one that there is not, or all, in words."""
    from difflib import get_close_matches

    known = [*(f"{_PREFIX}{setting}".upper() for setting in _READ), CONFIG_VARIABLE]
    return f"there are {', '.join(get_close_matches(name.upper(), known) or known)}"


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
    return replace(settings, **found)


def _made(given: Mapping[str, Any]) -> Settings:
    """Return the settings with these values, and its own where nothing is given.

    Raises:
        SettingsError: there is no such setting, or a value cannot be used.
    """
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name not in _READ:
            raise SettingsError(f"{name}: there is no such setting; there are {', '.join(_READ)}")
        try:
            found[name] = _READ[name](value)
        except ValueError as error:
            raise SettingsError(f"{name}: {error}") from error
    return Settings(**found)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a text")
    return value


def _text_or_none(value: Any) -> str | None:
    return _text(value) or None


def _path(value: Any) -> Path:
    return value if isinstance(value, Path) else Path(_text(value))


def _host_id(value: Any) -> str:
    if value and not ids.is_id("host", _text(value)):
        raise ValueError("expected a host id such as host-0a1b2c3d4e5f60718")
    return _text(value)


def _bridge(value: Any) -> str:
    if not 1 <= len(_text(value)) <= _LONGEST_NAME:
        raise ValueError(f"expected the name of a bridge, of 1 to {_LONGEST_NAME} characters")
    return value


def _address(value: Any) -> str | None:
    if not _text(value):
        return None
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError("expected an IPv4 or IPv6 address of this host") from None


def _udp_port(value: Any) -> int:
    try:
        number = int(value) if isinstance(value, int | str) else 0
    except ValueError:
        number = 0
    if not 1 <= number <= _MAX_PORT:
        raise ValueError(f"expected a number from 1 to {_MAX_PORT}")
    return number


def _one_of(*names: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in names:
            raise ValueError(f"expected {', '.join(names[:-1])} or {names[-1]}")
        return value

    return read


def _providers(value: Any) -> dict[str, str]:
    found = _pairs(value) if isinstance(value, str) else value
    if not isinstance(found, dict):
        raise ValueError(_PROVIDERS)
    targets = list(found.values())
    if not all(_PROVIDER.fullmatch(name) for name in found) or not all(
        isinstance(target, str) and _DEVICE.fullmatch(target) for target in targets
    ):
        raise ValueError(_PROVIDERS)
    if len(set(targets)) < len(targets):
        raise ValueError("expected another bridge or device for each provider")
    return found


def _pairs(value: str) -> dict[str, str]:
    parts = [part.strip().partition("=") for part in value.split(",") if part.strip()]
    names = [name.strip() for name, _, _ in parts]
    if not all(separator for _, separator, _ in parts) or len(set(names)) < len(names):
        raise ValueError(_PROVIDERS)
    return {name.strip(): target.strip() for name, _, target in parts}


_READ: dict[str, Callable[[Any], Any]] = {
    "host_id": _host_id,
    "api_url": _text,
    "api_ca": _path,
    "token": _text,
    "token_file": _path,
    "ovsdb": _text,
    "ovs_rundir": _path,
    "state_dir": _path,
    "netns_dir": _path,
    "bridge": _bridge,
    "underlay_bridge": _bridge,
    "datapath": _one_of("auto", "system", "netdev"),
    "neighbour_discovery": _one_of("auto", "flows", "agent"),
    "vtep_address": _address,
    "underlay_device": _text_or_none,
    "vxlan_port": _udp_port,
    "providers": _providers,
    "openflow_key": _path,
    "openflow_certificate": _path,
    "openflow_ca": _path,
    "log_level": _one_of("debug", "info", "warning", "error"),
}
"""How each setting is read; a ValueError says what is accepted."""
