"""What machine this is: figures mean nothing without it."""

import os
import platform
from pathlib import Path

from bench.processes import run


def describe() -> dict[str, str]:
    """Return the machine's description by what is described."""
    return {
        "processor": _first("/proc/cpuinfo", "model name"),
        "cores": str(os.cpu_count()),
        "memory": f"{int(_first('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "kernel": platform.release(),
        "system": _release(),
        "python": platform.python_version(),
        "Open vSwitch": run("ovs-vswitchd", "--version").splitlines()[0],
        "datapath": "userspace (netdev)",
    }


def _first(path: str, key: str) -> str:
    for line in Path(path).read_text().splitlines():
        if line.startswith(key):
            return line.partition(":")[2].strip()
    return "unknown"


def _release() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "unknown"
