"""The commands of ``vpc-agent``: run, enroll, plug, status, hold-back, clean."""

import argparse
import asyncio
import gc
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from agent import VERSION
from agent import settings as agent_settings
from agent.settings import Settings, SettingsError
from vpcctl import memory

_EPILOG = (
    "Each setting can be a flag, a variable (VPC_AGENT_HOST_ID for --host-id) or a line of the TOML"
    " file (host_id); a flag goes before a variable, a variable before the file. All of them:"
    " docs/settings.md."
)
_FLAGS = {
    "host_id": "id of this host, such as host-0a1b2c3d4e5f60718; default: as enrolled",
    "api_url": "http://127.0.0.1:8080, https://… or unix:/path.sock",
    "api_ca": "file with the CA of the API's certificate; default: as enrolled",
    "token_file": "file (mode 0600) with the host's token; default: as enrolled",
    "ovsdb": "OVSDB server",
    "ovs_rundir": "directory with ovs-vswitchd's pid file",
    "state_dir": "directory for what the agent remembers",
    "netns_dir": "directory with the names of network namespaces",
    "bridge": "integration bridge",
    "underlay_bridge": "bridge for the underlay device (userspace datapath)",
    "datapath": "auto, system or netdev",
    "neighbour_discovery": "auto, flows or agent: who answers for IPv6 gateways",
    "vtep_address": "local tunnel address; default: the one that reaches the controller",
    "underlay_device": "device that carries the tunnels; default: the one with that address",
    "vxlan_port": "UDP port of VXLAN",
    "providers": "provider networks and how they are reached, such as public=br-ex,lab=eth2;"
    " default: none",
    "openflow_key": "private key for ssl: controller targets; default: as enrolled",
    "openflow_certificate": "certificate for ssl: controller targets; default: as enrolled",
    "openflow_ca": "CA of the controller's certificate; default: as enrolled",
    "log_level": "debug, info, warning or error",
}

SWITCH_INTERVAL_S = 0.0005
"""A thread that has to run waits so long for one that computes: 5 ms, Python's own value, is a
third of what plugging an interface takes altogether."""

_CONFIG = "TOML file with the settings below; default: the one that VPC_AGENT_CONFIG names, if any"
_SHORT = {"api_url": ("--api",)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vpc-agent", description="vpcctl's agent on a host", epilog=_EPILOG
    )
    parser.add_argument("--version", action="version", version=f"vpc-agent {VERSION}")
    # Flags stand before the command or after it: what one parser is not given leaves the other's.
    common = argparse.ArgumentParser(add_help=False)
    for each in (parser, common):
        each.add_argument("--config", help=_CONFIG, default=argparse.SUPPRESS)
        for name in _FLAGS:
            flags = ["--" + name.replace("_", "-"), *_SHORT.get(name, ())]
            each.add_argument(*flags, help=_help(name), default=argparse.SUPPRESS, dest=name)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("run", parents=[common], help="run the agent (the default)")
    enroll = commands.add_parser("enroll", parents=[common], help="make this machine a host")
    enroll.add_argument("--token", required=True, help="token of 'vpcctl host enroll'; -: stdin")
    plug = commands.add_parser("plug", parents=[common], help="plug an interface by hand")
    plug.add_argument("--port", required=True, help="port id")
    plug.add_argument("--interface", required=True, help="device or OVS interface")
    plug.add_argument("--mac", help="MAC of the guest")
    plug.add_argument("--tap", action="store_true", help="make a tap device when it is absent")
    commands.add_parser("status", parents=[common], help="show what the agent holds and counted")
    commands.add_parser(
        "hold-back",
        parents=[common],
        help="before ovs-vswitchd is started: have gateways' peers wait for its flows",
    )
    commands.add_parser("clean", parents=[common], help="remove everything of ours from the host")
    for each in commands.choices.values():
        each.epilog = _EPILOG
    return parser


def _help(name: str) -> str:
    """Return what help says of a setting, with its default unless the text says that."""
    text, default = _FLAGS[name], getattr(Settings(), name)
    return text if "default:" in text or default is None else f"{text}; default: {default}"


class PlainFormatter(logging.Formatter):
    """Writes lines as :func:`_coloured` does, without colours."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s [%(level)-9s] %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback follows it."""
        record.level = record.levelname.lower()
        return super().format(record)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return the time to the microsecond, in UTC."""
        made = datetime.fromtimestamp(record.created, UTC)
        return f"{made:%Y-%m-%dT%H:%M:%S.%fZ}"


def _coloured() -> logging.Formatter:
    """Return what writes for a terminal; a service has none, and no use of a library for it."""
    import structlog

    return structlog.stdlib.ProcessorFormatter(
        processor=structlog.dev.ConsoleRenderer(colors=True),
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
    )


def _configure_logging(level: str) -> None:
    """Send every log line to stderr, with time, level and logger."""
    handler = logging.StreamHandler()
    handler.setFormatter(_coloured() if sys.stderr.isatty() else PlainFormatter())
    logging.basicConfig(handlers=[handler], level="WARNING", force=True)
    logging.getLogger("agent").setLevel(level.upper())
    logging.getLogger("ovsdbapp").setLevel("CRITICAL")  # what matters of it is said by ours


def _run(settings: Settings) -> None:
    """Run the agent; its libraries are imported here, so that other commands start fast."""
    from agent.host import Host
    from agent.loop import Agent
    from agent.priority import put_first
    from agent.worker import Worker

    put_first()
    # Found out before the event loop runs: pyroute2's plain sockets bring a loop of their own.
    datapath = _datapath(settings)
    logging.getLogger("agent").info("datapath: %s", datapath)
    worker = Worker(settings.netns_dir, settings.host_id, checksums_off=datapath == "netdev")

    async def run() -> None:
        flows_answer = _flows_answer(settings, datapath)
        owner = settings.host_id
        host = Host(datapath, problems=dict, nd_extensions=flows_answer, owner=owner)
        await Agent(settings, host, worker).run()

    memory.keep_small()
    gc.collect()
    memory.give_back()
    gc.freeze()  # the program itself stays: looking through it again would stop the loop
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    asyncio.run(run())


def _datapath(settings: Settings) -> Literal["system", "netdev"]:
    from agent.netlink.underlay import has_kernel_datapath

    if settings.datapath != "auto":
        return settings.datapath
    return "system" if has_kernel_datapath() else "netdev"


def _flows_answer(settings: Settings, datapath: str) -> bool:
    """Tell whether flows answer solicitations for gateways here (else the agent does)."""
    if settings.neighbour_discovery != "auto":
        return settings.neighbour_discovery == "flows"
    return datapath == "netdev"


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, value in vars(arguments).items() if name in _FLAGS}


def _loaded(arguments: argparse.Namespace) -> Settings:
    return agent_settings.load(_given(arguments), vars(arguments).get("config"))


def _settings(arguments: argparse.Namespace) -> Settings:
    found = _loaded(arguments)
    if not found.host_id:
        raise SettingsError("host_id is not set: give --host-id or VPC_AGENT_HOST_ID")
    found.secret()
    return found


def _enroll(arguments: argparse.Namespace) -> int:
    from agent.enroll import EnrollmentError, EnrollmentPaths, enroll

    settings = _loaded(arguments)
    given = arguments.token
    token = sys.stdin.readline() if given == "-" else given
    token_file = settings.token_file or agent_settings.default_token_file(settings.state_dir)
    try:
        done = enroll(settings.api_url, token, EnrollmentPaths(settings.state_dir, token_file))
    except EnrollmentError as error:
        print(f"vpc-agent: {error}", file=sys.stderr)
        return 1
    print(f"this machine is {done.host_id}; start its agent with:")
    print(f"  vpc-agent --api-url {settings.api_url} --state-dir {settings.state_dir}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``vpc-agent``; returns the exit code (2: the settings cannot be used)."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "enroll":
            return _enroll(arguments)
        settings = _settings(arguments)
    except SettingsError as error:
        print(f"vpc-agent: {error}", file=sys.stderr)
        return 2
    _configure_logging(settings.log_level)
    match arguments.command:
        case "plug":
            from agent import by_hand

            return by_hand.plug(
                settings, arguments.port, arguments.interface, mac=arguments.mac, tap=arguments.tap
            )
        case "status":
            from agent.status import status

            return status(settings)
        case "hold-back":
            from agent.hold_back import hold_back

            return hold_back(settings)
        case "clean":
            from agent import by_hand

            return by_hand.clean(settings)
        case _:
            _run(settings)
            return 0
