"""Two real virtual machines on two hosts, with no network settings inside.

They learn address, route, MTU and name by DHCP and router advertisements, reach each other, move
data past a security group, and one is started again on another host, where it is what it was.

Run as root by Debian's Python: ``python3 -m mininet_labs.vm run``.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

from mininet_labs.common import lifecycle, machine, runs
from mininet_labs.common.hypervisor import PYTHON
from mininet_labs.common.machine import Console, LeftOut, Machine
from mininet_labs.common.processes import Daemons, LabError, within
from mininet_labs.common.report import Checks, print_topology, say
from mininet_labs.common.rest import Api
from mininet_labs.common.runs import Run
from mininet_labs.common.site import PATIENCE_S, Site
from mininet_labs.common.workloads import FAMILIES, Workload

NAME, TENANT = "vm", "acme"
CIDRS = ["10.9.0.0/16", "fd00:9::/48"]
SUBNET = {"cidr": "10.9.1.0/24", "ipv6_cidr": "fd00:9:0:1::/64", "ipv6_mode": "slaac"}
PLACES = {"vm-1": "host1", "vm-2": "host2"}
ELSEWHERE = "host3"
"""Where vm-2 is started again."""
DATA = 5000
BULK_KIB = 8 * 1024
_LEARN_S = 30.0
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
        self._steps: tuple[tuple[str, Callable[[Checks], None]], ...] = (
            ("What they have learnt", self._learnt),
            ("Who they reach", self._reached),
            (f"A rule comes: tcp/{DATA} to vm-2", self._guarded),
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
        self._site.start()
        say("lab: two virtual machines that know nothing of their network")
        self._tenant = self._site.tenant(TENANT)
        vpc = self._api.post("/v1/vpcs", {"name": TENANT, "cidrs": CIDRS})
        self._subnet = self._api.post("/v1/subnets", {"name": "web", "vpc_id": vpc["id"], **SUBNET})
        self._create_group(vpc["id"])
        self._site.await_hosts()
        for name, host in PLACES.items():
            self._machines[name].start(self._site.hosts[host])
        self._site.await_ports()
        for one in self._machines.values():
            one.console.await_up()
        self._run.note(consoles={name: str(m.socket) for name, m in self._machines.items()})
        say(f"lab: up in {time.monotonic() - started:.1f} s")
        print_topology(self._site.workloads, self._site.facts())

    def check(self, checks: Checks) -> None:
        """Go through the steps, then delete everything through the API."""
        for title, step in self._steps:
            say(f"\n{title}")
            step(checks)
        for one in self._machines.values():
            one.stop()
        self._site.take_down(("ports", "subnets", "security-groups", "vpcs"), checks)

    def describe(self) -> str:
        """Return how to use the lab from a shell, and leave the serial lines to who does."""
        for one in self._machines.values():
            one.console.close()
        commands = "vpcctl port list\nvpcctl sg rule list guarded"
        return self._site.describe(NAME, commands, "vm-1 ip addr show dev eth0")

    def close(self) -> None:
        """End the machines and the hosts."""
        self._site.close()

    def _create_group(self, vpc_id: str) -> None:
        """Make a port for each machine; it may be pinged, and nothing else for now."""
        group = self._api.post("/v1/security-groups", {"vpc_id": vpc_id, "name": "guarded"})
        rules = [{"direction": "ingress", "protocol": one} for one in ("icmp", "icmpv6")]
        rules.append({"direction": "egress", "protocol": "any"})
        self._api.post(f"/v1/security-groups/{group['id']}/rules", rules)
        for name in PLACES:
            self._create_port(name, [group["id"]])

    def _create_port(self, name: str, groups: list[str]) -> None:
        body = {"name": name, "subnet_id": self._subnet["id"], "security_groups": groups}
        port = self._ports[name] = self._api.post("/v1/ports", body)
        addresses = {6 if ":" in text else 4: text for text in port["fixed_ips"]}
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

    def _address(self, name: str, family: int) -> str:
        return next(w.addresses[family] for w in self._site.workloads if w.name == name)

    # --- steps ----------------------------------------------------------------------------------

    def _learnt(self, checks: Checks) -> None:
        for name in self._machines:
            self._expect_learnt(name, checks)

    def _expect_learnt(self, name: str, checks: Checks) -> None:
        """Check that a machine has all that its port says, with nothing but what it was told."""
        mtu = str(self._ports[name]["mtu"])
        link_local = "fe80::c76:70ff:fe63:1"
        for what, command, wanted in (
            ("IPv4 address", "ip -4 -o addr show dev eth0", f"{self._address(name, 4)}/24 "),
            ("IPv6 address", "ip -6 -o addr show dev eth0", f"{self._address(name, 6)}/64 "),
            ("IPv4 route", "ip -4 route", f"default via {self._subnet['gateway']} "),
            ("IPv6 route", "ip -6 route", f"default via {link_local} "),
            ("MTU", "cat /sys/class/net/eth0/mtu", f"{mtu}\n"),
            ("MTU of IPv6", "cat /proc/sys/net/ipv6/conf/eth0/mtu", f"{mtu}\n"),
            ("name", "hostname", f"{name}\n"),
        ):
            seen = within(
                lambda command=command, wanted=wanted: wanted in self._run_in(name, command)[1],
                seconds=_LEARN_S,
            )
            self._tell(checks, seen, f"{name} has the {what} {wanted.strip()}")

    def _reached(self, checks: Checks) -> None:
        for one, other in (("vm-1", "vm-2"), ("vm-2", "vm-1")):
            for family in FAMILIES:
                self._expect_ping(one, other, family, checks)
        size = self._ports["vm-1"]["mtu"] - _IP_ICMP
        ping = f"ping -c 1 -W 5 -s {size} {self._address('vm-2', 4)}"
        self._tell(checks, self._succeeds("vm-1", ping), "a ping as long as the MTU comes back")

    def _guarded(self, checks: Checks) -> None:
        listen = f"sleep 100 | nc -l -p {DATA} 2>&1 | wc -c >/tmp/got &"
        self._run_in("vm-2", listen)
        there = f"{self._address('vm-2', 4)} {DATA}"
        refused = not self._succeeds("vm-1", f"nc -w 2 {there} </dev/null")
        self._tell(checks, refused, "no connection while no rule allows it")
        words = ("--ingress", f"tcp/{DATA}", "--from", CIDRS[0])
        self._site.vpcctl(TENANT, "sg", "rule", "add", "guarded", *words)
        started = time.monotonic()
        send = f"dd if=/dev/zero bs=1k count={BULK_KIB} 2>/dev/null | nc {there}"
        self._tell(checks, self._succeeds("vm-1", send, 60), f"{BULK_KIB} KiB are sent")
        seconds = time.monotonic() - started
        whole = f"{BULK_KIB * 1024}\n"
        arrived = within(
            lambda: whole in self._run_in("vm-2", "cat /tmp/got")[1], seconds=PATIENCE_S
        )
        self._tell(checks, arrived, f"all of them arrive, at {BULK_KIB / 128 / seconds:.0f} Mbit/s")

    def _moved(self, checks: Checks) -> None:
        """Start vm-2 elsewhere: whoever plugs the tap says which port it is, and that is all."""
        moving = self._machines["vm-2"]
        moving.stop()
        started = time.monotonic()
        moving.start(self._site.hosts[ELSEWHERE])
        moving.console.await_up()
        say(f"  vm-2 has booted after {time.monotonic() - started:.1f} s")
        self._expect_learnt("vm-2", checks)
        for family in FAMILIES:
            self._expect_ping("vm-1", "vm-2", family, checks)

    # --- how ------------------------------------------------------------------------------------

    def _run_in(self, name: str, command: str, seconds: float = 20.0) -> tuple[int, str]:
        return self._machines[name].console.run(command, seconds)

    def _succeeds(self, name: str, command: str, seconds: float = 20.0) -> bool:
        return self._run_in(name, command, seconds)[0] == 0

    def _expect_ping(self, one: str, other: str, family: int, checks: Checks) -> None:
        ping = f"ping -c 1 -W 1 {self._address(other, family)}"
        reached = within(lambda: self._succeeds(one, ping), seconds=PATIENCE_S)
        self._tell(checks, reached, f"{one} reaches {other} by IPv{family}")

    @staticmethod
    def _tell(checks: Checks, good: bool, what: str) -> None:
        say(f"  {what}: {'yes' if good else 'NO'}")
        checks.expect(good, what)


def _exec(name: str, command: list[str]) -> int:
    """Run a command in a machine of the lab that is up."""
    for _, record in runs.background_runs(NAME):
        consoles = record.get("consoles", {})
        if name not in consoles:
            print(f"lab: no machine {name}; there are: {', '.join(consoles)}", file=sys.stderr)
            return 2
        code, said = Console(consoles[name]).run(" ".join(command), 60.0)
        print(said, end="")
        return code
    print("lab: nothing is up; start it with `make up LAB=vm`", file=sys.stderr)
    return 1


def main() -> int:
    """Run a command of the lab; 77 when there can be no virtual machines."""
    match sys.argv[1:]:
        case ["exec", name, *command] if command:
            return _exec(name, command)
        case ["run" | "up"]:
            try:
                machine.prepare()
            except LeftOut as reason:
                print(f"lab: left out: {reason}", file=sys.stderr)
                return 77
    return lifecycle.main(NAME, VirtualMachines)


if __name__ == "__main__":
    if not PYTHON.exists():
        sys.exit(f"lab: {PYTHON} is not there: run `make install` first")
    sys.exit(main())
