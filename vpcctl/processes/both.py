"""``python -m vpcctl.processes``: starts both processes, and becomes their supervisor.

It takes the place of the command that prepared everything (:func:`vpcctl.bootstrap.hand_over`);
the settings are in its environment. What both processes need is loaded here, once, and both are
forked from here: what neither writes to is in memory once. The supervisor, which is small, takes
the place of this process then, so nothing of it is left but what its children use.
"""

import gc
import importlib
import json
import os
import signal
import sys
from dataclasses import asdict
from typing import NoReturn

from vpcctl.readiness import Door, forget_started
from vpcctl.settings import Settings
from vpcctl.supervisor import CHILDREN, WAITED, fork

SHARED = (
    "prometheus_client",
    "vpcctl.pki.keeper",
    "vpcctl.processes.common",
    "vpcctl.store.address_groups",
    "vpcctl.store.certificates",
    "vpcctl.store.eips",
    "vpcctl.store.external_networks",
    "vpcctl.store.gateways",
    "vpcctl.store.locations",
    "vpcctl.store.network_acls",
    "vpcctl.store.ports",
    "vpcctl.store.realisation",
    "vpcctl.store.route_tables",
    "vpcctl.store.security_groups",
    "vpcctl.store.southbound",
)
"""Modules that both processes load. None opens, starts or reads anything when it is loaded."""


def main() -> int:
    """Start both and become their supervisor; in each of them, work and return the exit code."""
    # For the supervisor: exec changes neither.
    signal.pthread_sigmask(signal.SIG_BLOCK, WAITED)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    load_shared()
    settings = Settings()
    for name in CHILDREN:
        forget_started(str(settings.run_dir), name)
    pids: list[int] = []
    for work in (_api, _southbound):
        pid = fork()
        if pid == 0:
            return work()
        pids.append(pid)
    return _supervise(settings, pids)


def _supervise(settings: Settings, pids: list[int]) -> NoReturn:
    """Let the supervisor of *pids* take the place of this process."""
    door = json.dumps(asdict(_door(settings)))
    about = (str(settings.run_dir), door, _line(settings))
    command = [sys.executable, "-m", "vpcctl.supervisor", *about, *map(str, pids)]
    os.execv(command[0], command)  # noqa: S606 - a program of ours, without a shell


def load_shared() -> None:
    """Load what both need, and hide it from the garbage collector, which would go through it."""
    for name in SHARED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _api() -> int:
    from vpcctl.processes.api import main

    return main()


def _southbound() -> int:
    from vpcctl.processes.southbound import main

    return main()


def _door(settings: Settings) -> Door:
    listener = settings.api_listeners[0]
    path = str(listener.path) if listener.path is not None else ""
    return Door(listener.scheme, listener.host, listener.port, path)


def _line(settings: Settings) -> str:
    """Return what is said once the controller is ready: what a client gives as ``--api``."""
    text, listener = settings.api_listen[0], settings.api_listeners[0]
    url = f"http://{listener.authority}" if listener.scheme == "plain" else text
    return f"ready: API on {url}, switches on {', '.join(settings.openflow_listen)}"
