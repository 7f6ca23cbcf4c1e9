"""The process that holds all simulated hosts: ``python -m bench.simulated.process FILE``.

FILE is JSON: where the controller listens, and for each host its id, addresses, credentials and
ports. Commands come as JSON lines on standard input, answers go out as JSON lines.
"""

import asyncio
import json
import resource
import ssl
import sys
import time
from pathlib import Path
from typing import Any

from bench.simulated.agent import Agent, Channel
from bench.simulated.openflow import Switch
from vpcctl.wire.report import Link

_CONNECTS_AT_ONCE = 32
_RETRY_S = 1.0
_STILL_S = 0.15
"""So long without a commit, a host has nothing more to commit."""


class Hosts:
    """All simulated hosts."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._api = (document["api"][0], int(document["api"][1]))
        self._openflow = (document["openflow"][0], int(document["openflow"][1]))
        self._gate = asyncio.Semaphore(_CONNECTS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self.switches: list[Switch] = []
        self.agents: list[Agent] = []
        self._contexts: list[ssl.SSLContext] = []
        self._marked: list[tuple[Switch, int]] = []
        for host in document["hosts"]:
            self._add(host, document["ca"])

    def _add(self, host: dict[str, Any], ca: str) -> None:
        context = ssl.create_default_context(cafile=ca)
        context.load_cert_chain(host["certificate"], host["key"])
        links = [
            Link(port_id=port, interface=f"m{index}", interface_uuid=port, ofport=2 + index)
            for index, port in enumerate(host["ports"])
        ]
        lines = [Channel(self._api, context, host["token"]) for _ in range(2)]
        self._contexts.append(context)
        self.switches.append(Switch(host["dpid"], self._reconnect))
        agent = Agent(host["id"], host["vtep"], host["dpid"], links, lines[0], lines[1])
        agent.network = host["network"]
        self.agents.append(agent)

    def start(self) -> None:
        """Start every agent and connect every switch."""
        for agent in self.agents:
            self._spawn(agent.run())
        for index in range(len(self.switches)):
            self._spawn(self._connect(index))

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _reconnect(self, switch: Switch) -> None:
        self._spawn(self._connect(self.switches.index(switch), pause=_RETRY_S))

    async def _connect(self, index: int, pause: float = 0.0) -> None:
        await asyncio.sleep(pause)
        host, port = self._openflow
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with self._gate:
                    await loop.create_connection(
                        lambda: self.switches[index], host, port, ssl=self._contexts[index]
                    )
                return
            except OSError:
                await asyncio.sleep(_RETRY_S)

    def state(self) -> dict[str, Any]:
        """Return counts over all hosts."""
        errors = [agent.last_error for agent in self.agents if agent.errors]
        return {
            "connected": sum(switch.connected for switch in self.switches),
            "flows": sum(switch.flows for switch in self.switches),
            "commits": sum(switch.commits for switch in self.switches),
            "reports": sum(agent.reports for agent in self.agents),
            "reported": sum(agent.reports > 0 for agent in self.agents),
            "errors": sum(agent.errors for agent in self.agents),
            "last_error": errors[-1] if errors else "",
            "last_commit": max(switch.committed_at for switch in self.switches),
        }

    async def change(self, command: dict[str, Any]) -> dict[str, Any]:
        """Report a new link on one host; wait until the hosts concerned have committed it."""
        concerned = [self.switches[index] for index in command["concerned"]]
        before = [switch.commits for switch in concerned]
        agent = self.agents[command["host"]]
        port, number = command["port"], len(agent.links)
        link = Link(port_id=port, interface=f"m{number}", interface_uuid=port, ofport=2 + number)
        start = time.monotonic()
        await agent.plug(link)
        deadline = start + command["timeout"]
        while time.monotonic() < deadline:
            if all(s.commits > b for s, b in zip(concerned, before, strict=True)):
                last = max(switch.committed_at for switch in concerned)
                return {"ms": (last - start) * 1000, "start": start}
            await asyncio.sleep(0.002)
        late = sum(s.commits <= b for s, b in zip(concerned, before, strict=True))
        return {"ms": None, "start": start, "late": late}

    def mark(self, command: dict[str, Any]) -> dict[str, Any]:
        """Remember what the hosts concerned by a change that is to come have committed."""
        switches = [self.switches[index] for index in command["concerned"]]
        self._marked = [(switch, switch.commits) for switch in switches]
        return {}

    async def committed(self, command: dict[str, Any]) -> dict[str, Any]:
        """Wait until these hosts have committed what is new; return when the last one did."""
        deadline = time.monotonic() + command["timeout"]
        while time.monotonic() < deadline:
            last = max(switch.committed_at for switch, _ in self._marked)
            done = all(switch.commits > before for switch, before in self._marked)
            if done and time.monotonic() - last > _STILL_S:
                return {"at": last}
            await asyncio.sleep(0.01)
        return {"at": None}


async def serve(path: Path) -> None:
    """Answer commands until standard input ends."""
    hosts = Hosts(json.loads(path.read_text()))
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print(json.dumps({"ready": len(hosts.switches)}), flush=True)
    while line := await reader.readline():
        command = json.loads(line)
        answer: dict[str, Any] = {}
        if command["op"] == "start":
            hosts.start()
        elif command["op"] == "change":
            answer = await hosts.change(command)
        elif command["op"] == "mark":
            answer = hosts.mark(command)
        elif command["op"] == "committed":
            answer = await hosts.committed(command)
        else:
            answer = hosts.state()
        print(json.dumps(answer), flush=True)


def allow_connections() -> None:
    """Let this process and its children open as many files as the machine allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    """Run."""
    allow_connections()
    asyncio.run(serve(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
