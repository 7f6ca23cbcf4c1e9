"""Workloads: namespaces attached to ports, and the scripts that the labs run inside them."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mininet_labs.common.processes import Daemons, LabError

if TYPE_CHECKING:
    from mininet_labs.common.hypervisor import Hypervisor

FAMILIES = (4, 6)


@dataclass(frozen=True)
class Workload:
    """A namespace attached to a port.

    Attributes:
        name: of the workload and its namespace, such as ``red-1``.
        tenant: who owns it.
        subnet: name of its subnet.
        host: where it is.
        port_id: its port.
        addresses: address by family, 4 and 6.
        gateways: its subnet's gateway by family.
    """

    name: str
    tenant: str
    subnet: str
    host: "Hypervisor"
    port_id: str
    addresses: dict[int, str]
    gateways: dict[int, str]


class Script:
    """A script of this folder inside one workload; it takes and gives one JSON document a line."""

    file: str

    def __init__(self, workload: Workload, daemons: Daemons, *arguments: str) -> None:
        self.workload = workload
        # Isolated and without site packages: it starts in a few milliseconds.
        script = str(Path(__file__).with_name(self.file))
        words = ("/usr/bin/python3", "-IS", script, workload.name, *arguments)
        self._process: subprocess.Popen[bytes] = daemons.start(
            f"{Path(self.file).stem}-{workload.name}",
            workload.host.within(workload.name, *words),
            talk=True,
        )

    def wait(self) -> None:
        """Return when it listens."""
        self._read()

    def end(self) -> None:
        """Let it end, so that its namespace is nobody's any more."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=5.0)

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Have it do something and return what it answers."""
        if self._process.stdin is None:
            raise LabError("scripts are started with pipes")
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            raise LabError(f"{self.file} in {self.workload.name} ended by itself")
        return json.loads(line)
