"""Where commands are run in a lab: its workloads, who is outside, and what was attached since."""

import subprocess
from collections.abc import Sequence
from typing import Any

from mininet_labs.common.processes import LabError
from mininet_labs.common.runs import NETNS

Words = list[str]
"""What a command is written after, to be run there."""


def of_record(record: dict[str, Any]) -> dict[str, Words]:
    """Return every place of a run by name: ``red-1``, ``outside``, ``host1/mine``.

    Args:
        record: of the run; ``places`` has those that the lab made, ``hosts`` its hosts.

    Raises:
        LabError: a host does not say what it has.
    """
    made: dict[str, Words] = record.get("places", {})
    found = {
        f"{label}/{netns}": [*inside, "ip", "netns", "exec", netns]
        for label, inside in record.get("hosts", {}).items()
        for netns in namespaces(label, inside)
    }
    return made | {name: words for name, words in found.items() if words not in made.values()}


def namespaces(label: str, inside: Sequence[str]) -> list[str]:
    """Return the names of the workloads' namespaces that a host has now.

    Beside them there is the agent's own, of the sockets that answer for names.

    Args:
        label: of the host.
        inside: what a command is written after, to be run on it.

    Raises:
        LabError: it cannot be asked.
    """
    listed = subprocess.run(
        [*inside, "ls", str(NETNS)], check=False, capture_output=True, text=True
    )
    if listed.returncode != 0:
        raise LabError(f"{label}: {listed.stderr.strip()}")
    return [one for one in listed.stdout.split() if not one.startswith("vpcctl-services")]
