"""Two real virtual machines on two hosts, with no network settings inside.

They learn address, route, MTU and name by DHCP and router advertisements, reach each other by name,
are told who they are, move data past a security group, and one is called from outside by its EIP.
It is started again on another host then, where it is what it was.

Run as root by Debian's Python: ``python3 -m mininet_labs.vm run``.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mininet_labs import vm_questions as questions
from mininet_labs.common import internet, lifecycle, machine, runs
from mininet_labs.common.hypervisor import PYTHON
from mininet_labs.common.internet import PORT
from mininet_labs.common.machine import Console, LeftOut, Machine
from mininet_labs.common.outside import BLOCK, ROUTER, Visitor
from mininet_labs.common.processes import Daemons, LabError, within
from mininet_labs.common.report import Checks, print_topology, say
from mininet_labs.common.rest import Api
from mininet_labs.common.runs import Run
from mininet_labs.common.site import PATIENCE_S, Site
from mininet_labs.common.workloads import FAMILIES, Workload
from mininet_labs.vm_questions import Question

NAME, TENANT = "vm", "acme"
CIDRS = ["10.9.0.0/16", "fd00:9::/48"]
SUBNET = {"cidr": "10.9.1.0/24", "ipv6_cidr": "fd00:9:0:1::/64", "ipv6_mode": "slaac"}
PLACES = {"vm-1": "host1", "vm-2": "host2"}
ELSEWHERE = "host3"
"""Where vm-2 is started again."""
REACH = (PLACES["vm-2"], ELSEWHERE)
"""Hosts with a cable to the provider's network."""
PAIRS = (("vm-1", "vm-2"), ("vm-2", "vm-1"))
USER_DATA = "#cloud-config\nmanage_etc_hosts: true\n"
DATA = 5000
BULK_KIB = 8 * 1024
_IP_ICMP = 28
"""Bytes of the headers of IPv4 and ICMP."""


class VirtualMachines:
    """The lab. What is checked are its steps, in order; each is told with what was seen."""

    def __init__(self, run: Run, daemons: Daemons) -> None:
        self._run, self._daemons = run, daemons
        self._site = Site(run, daemons)
        self._tenant: Api | None = None
        self._machines: dict[str, Machine] = {}
        self._ports: dict[str, dict[str, Any]] = {}
        self._subnet: dict[str, Any] = {}
        self._eip = ""
        self._visitor: Visitor
        self._steps: tuple[tuple[str, Callable[[Checks], None]], ...] = (
            ("What they have learnt", self._learnt),
            ("Whom they find and reach", self._reached),
            ("What the metadata service tells them", self._told),
            (f"A rule comes and goes: tcp/{DATA} to vm-2", self._guarded),
            ("Somebody outside calls vm-2 by its EIP", self._called),
            (f"vm-2 loses its power, and is started on {ELSEWHERE}", self._moved),
        )

    @property
    def _api(self) -> Api:
        if self._tenant is None:
            raise LabError("the lab is not up")
        return self._tenant

    def bring_up(self) -> None:
        """Build everything and return when both machines have booted and have their addresses."""
        started = time.monotonic()
        self._site.start(reach=REACH)
        internet.create(self._site)
        say("lab: two virtual machines that know nothing of their network")
        self._tenant = self._site.tenant(TENANT)
        vpc = self._api.post("/v1/vpcs", {"name": TENANT, "cidrs": CIDRS})
        self._subnet = self._api.post("/v1/subnets", {"name": "web", "vpc_id": vpc["id"], **SUBNET})
        self._create_group(vpc["id"])
        self._give_data()
        self._site.await_hosts()
        for name, host in PLACES.items():
            self._machines[name].start(self._site.hosts[host])
        # While they boot.
        self._lead_out()
        self._site.await_ports()
        for one in self._machines.values():
            one.console.await_up()
        self._run.note(consoles={name: str(m.socket) for name, m in self._machines.items()})
        say(f"lab: up in {time.monotonic() - started:.1f} s")
        print_topology(self._site.workloads, self._site.facts())

    def check(self, checks: Checks) -> None:
        """Go through the steps, then delete everything through the API."""
        site = self._site
        self._visitor = Visitor(site.outside.as_workload(), site.daemons)
        self._visitor.wait()
        self._visitor.listen(PORT)
        for title, step in self._steps:
            say(f"\n{title}")
            step(checks)
        for one in self._machines.values():
            one.stop()
        self._visitor.end()
        self._take_down(checks)

    def describe(self) -> str:
        """Return how to use the lab from a shell, and leave the serial lines to who does."""
        for one in self._machines.values():
            one.console.close()
        commands = "vpcctl port list\nvpcctl sg rule list guarded"
        examples = ("vm-1 ip addr show dev eth0", f"outside ping -c 2 {self._eip}")
        return self._site.describe(NAME, commands, *examples)

    def close(self) -> None:
        """End the machines and the hosts."""
        self._site.close()

    def _take_down(self, checks: Checks) -> None:
        internet.take_back(self._api)
        kinds = ("internet-gateways", "eips", "ports", "subnets", "security-groups", "vpcs")
        self._site.take_down((*kinds, "external-networks"), checks)

    def _give_data(self) -> None:
        """Give vm-1 user data, which it gets with a session token only."""
        data = self._run.path("user-data")
        data.write_text(USER_DATA)
        words = ("--user-data", str(data), "--tokens", "required")
        self._site.vpcctl(TENANT, "port", "set", "vm-1", *words)

    def _lead_out(self) -> None:
        """Give vm-2 an EIP."""
        internet.create_eip(self._api, TENANT)
        self._eip = internet.lead_out(self._api, self._ports["vm-2"]["id"])

    def _create_group(self, vpc_id: str) -> None:
        """Make a port for each machine; it may be pinged, and called from outside."""
        group = self._api.post("/v1/security-groups", {"vpc_id": vpc_id, "name": "guarded"})
        rules = [{"direction": "ingress", "protocol": one} for one in ("icmp", "icmpv6")]
        rules.append({"direction": "egress", "protocol": "any"})
        called = {"protocol": "tcp", "ports": str(PORT), "remote": {"cidr": BLOCK}}
        rules.append({"direction": "ingress", **called})
        self._api.post(f"/v1/security-groups/{group['id']}/rules", rules)
        for name in PLACES:
            self._create_port(name, [group["id"]])

    def _create_port(self, name: str, groups: list[str]) -> None:
        body = {"name": name, "subnet_id": self._subnet["id"], "security_groups": groups}
        port = self._ports[name] = self._api.post("/v1/ports", body)
        addresses = questions.addresses_of(port)
        gateways = {4: self._subnet["gateway"], 6: self._subnet["ipv6_gateway"]}
        self._site.workloads.append(
            Workload(
                *(name, TENANT, "web", self._site.hosts[PLACES[name]], port["id"]),
                addresses,
                gateways,
            )
        )
        self._machines[name] = Machine(
            name, port["id"], port["mac_address"], self._run, self._daemons
        )

    # --- steps ----------------------------------------------------------------------------------

    def _learnt(self, checks: Checks) -> None:
        for name, port in self._ports.items():
            self._ask(name, questions.learnt(port, self._subnet), checks)

    def _reached(self, checks: Checks) -> None:
        for one, other in PAIRS:
            self._ask(one, questions.names(self._ports[other]), checks)
            self._expect_ping(one, other, checks)
        size = self._ports["vm-1"]["mtu"] - _IP_ICMP
        ping = f"ping -4 -c 1 -W 5 -s {size} vm-2"
        self._tell(checks, self._succeeds("vm-1", ping), "a ping as long as the MTU comes back")

    def _told(self, checks: Checks) -> None:
        for name, port in self._ports.items():
            self._ask(name, questions.identity(port), checks)
        self._ask("vm-1", questions.guarded_data(USER_DATA), checks)
        self._ask("vm-2", [questions.no_data(), questions.public(self._eip)], checks)
        for name in self._ports:
            self._ask(name, [questions.place_to_ask()], checks)

    def _guarded(self, checks: Checks) -> None:
        self._listen("got")
        there = f"{questions.addresses_of(self._ports['vm-2'])[4]} {DATA}"
        refused = Question("is not let in", f"nc -w 1 {there} </dev/null", "timed out\n")
        self._ask("vm-1", [refused], checks)
        words = ("sg", "rule", "add", "guarded", "--ingress", f"tcp/{DATA}", "--from", CIDRS[0])
        rule = json.loads(self._site.vpcctl(TENANT, *words, "--wait", "--output", "json"))
        self._expect_bulk(there, checks)
        self._listen("nothing")
        gone = ("sg", "rule", "delete", "guarded", rule[0]["id"], "--wait")
        self._site.vpcctl(TENANT, *gone)
        self._ask("vm-1", [refused], checks)

    def _listen(self, into: str) -> None:
        """Let vm-2 take one connection and write into a file how many bytes came."""
        # Its standard input never ends: else it would end with that.
        take = f"nc -l -p {DATA} <>/tmp/idle | wc -c >/tmp/{into} &"
        self._run_in("vm-2", f"[ -p /tmp/idle ] || mkfifo /tmp/idle; {take}")

    def _expect_bulk(self, there: str, checks: Checks) -> None:
        started = time.monotonic()
        send = f"dd if=/dev/zero bs=1k count={BULK_KIB} 2>/dev/null | nc {there}"
        self._tell(checks, self._succeeds("vm-1", send, 60), f"{BULK_KIB} KiB are sent")
        seconds = time.monotonic() - started
        rate = f"all of them arrive, at {BULK_KIB / 128 / seconds:.0f} Mbit/s"
        self._ask("vm-2", [Question(rate, "cat /tmp/got", f"{BULK_KIB * 1024}\n")], checks)

    def _called(self, checks: Checks) -> None:
        """Let outside call vm-2 by its EIP, and vm-2 call outside."""
        self._run_in("vm-2", f"nc -ll -p {PORT} -e echo vm-2 nobody >/dev/null 2>&1 &")
        internet.expect_answer(self._visitor, self._eip, "vm-2", checks)
        heard = self._run_in("vm-2", f"nc -w 5 {ROUTER} {PORT} </dev/null")[1].split()
        who, seen_as = heard if len(heard) == len(("who", "seen as")) else (None, None)
        internet.expect_seen("vm-2", who, seen_as, self._eip, checks)

    def _moved(self, checks: Checks) -> None:
        """Start vm-2 elsewhere: whoever plugs the tap says which port it is, and that is all."""
        moving = self._machines["vm-2"]
        moving.stop()
        started = time.monotonic()
        moving.start(self._site.hosts[ELSEWHERE])
        moving.console.await_up()
        say(f"  vm-2 has booted after {time.monotonic() - started:.1f} s")
        port = self._ports["vm-2"]
        self._called(checks)
        self._ask("vm-2", [*questions.identity(port), questions.public(self._eip)], checks)
        self._ask("vm-2", questions.learnt(port, self._subnet), checks)
        self._expect_ping("vm-1", "vm-2", checks)

    # --- how ------------------------------------------------------------------------------------

    def _run_in(self, name: str, command: str, seconds: float = 20.0) -> tuple[int, str]:
        return self._machines[name].console.run(command, seconds)

    def _succeeds(self, name: str, command: str, seconds: float = 20.0) -> bool:
        return self._run_in(name, command, seconds)[0] == 0

    def _ask(self, name: str, asked: Iterable[Question], checks: Checks) -> None:
        """Ask a machine until its answers are what they are to be."""
        for one in asked:
            heard = [""]

            def is_right(one: Question = one, heard: list[str] = heard) -> bool:
                heard[0] = self._run_in(name, one.command)[1]
                return one.wanted in heard[0]

            good = within(is_right, seconds=PATIENCE_S)
            self._tell(checks, good, f"{name} {one.what}")
            if not good:
                say(heard[0])

    def _expect_ping(self, one: str, other: str, checks: Checks) -> None:
        asked = [questions.ping(self._ports[other], family) for family in FAMILIES]
        self._ask(one, asked, checks)

    @staticmethod
    def _tell(checks: Checks, good: bool, what: str) -> None:
        say(f"  {what}: {'yes' if good else 'NO'}")
        checks.expect(good, what)


def _console_of(name: str) -> str | None:
    """Return where the serial line of a machine of the lab that is up is; None: it has none."""
    for _, record in runs.background_runs(NAME):
        return record.get("consoles", {}).get(name)
    return None


def _exec(line: str, command: list[str]) -> int:
    """Run a command in the machine at the serial line *line*."""
    code, said = Console(Path(line)).run(" ".join(command), 60.0)
    print(said, end="")
    return code


def main() -> int:
    """Run a command of the lab; 77 when there can be no virtual machines."""
    match sys.argv[1:]:
        case ["exec", name, *command] if command and (line := _console_of(name)):
            return _exec(line, command)
        case ["run" | "up"]:
            try:
                machine.prepare()
            except LeftOut as reason:
                print(f"lab: left out: {reason}", file=sys.stderr)
                return 77
            except LabError as error:
                print(f"lab: {error}", file=sys.stderr)
                return 1
    return lifecycle.main(NAME, VirtualMachines)


if __name__ == "__main__":
    if not PYTHON.exists():
        sys.exit(f"lab: {PYTHON} is not there: run `make install` first")
    sys.exit(main())
