"""Out to the world: EIPs, a NAT gateway that outlives its host, and somebody outside who watches.

Two hosts reach the provider's network, the third does not. Step by step: an EIP where traffic
leaves from the port's own host; the same EIP moved, while conversations begin all the time, to a
port whose host has no way out, through a gateway host; a NAT gateway with a port forward; global
IPv6 addresses; the errors of routers on the way, as traceroute asks for them; the active gateway
host killed under a conversation, and back again; the cable of the active host to the provider
pulled; the active host drained while conversations begin all the time; the active host cut off
from its controller and from nothing else; the controller killed, and then the active host;
everybody calls everybody by EIPs and forwarded ports, on one host and across, in one subnet, VPC
and in another; and at last an EIP released under a conversation, which another tenant gets.

Run as root by Debian's Python: ``python3 -m mininet_labs.eip run``.
"""

import json
import sys
import time
from typing import Any

from mininet_labs.common import internet, lifecycle
from mininet_labs.common.hypervisor import PYTHON
from mininet_labs.common.internet import PORT, eip_of
from mininet_labs.common.outside import (
    BLOCK,
    BLOCK6,
    FAR_BLOCK,
    ROUTER,
    TENANTS6,
    Visitor,
    Witness,
)
from mininet_labs.common.processes import Daemons, LabError, within
from mininet_labs.common.report import Checks, print_topology, say
from mininet_labs.common.runs import Run
from mininet_labs.common.site import PATIENCE_S, Site
from mininet_labs.eip_beyond import expect_global, reach_by_ipv6, trace
from mininet_labs.eip_cut_off import cut_off
from mininet_labs.eip_everybody import call_everybody
from mininet_labs.eip_knocking import knock, knocked
from mininet_labs.eip_plan import BLOCKS, BLUE, PLACES, REACH, RED, VPC_CIDRS, Stage
from mininet_labs.eip_reuse import reuse

NAME = "eip"
FORWARDED = 8080
_LATE_S, _BACK_S, _TAKEN_OVER_S, _PULLED_S = 60.0, 2.0, 2.0, 1.5
_STAYS_S = 4.0
"""Longer than a host that comes back waits until it believes that it is alone."""
_FEW_FLOWS = 50
_WIRE, _PORTS, _NARROW = 1500, 1450, 1400
"""Bytes that fit the provider's network, ports, and that network when it is said to be narrower."""
SILENCE_MS = 1_000
"""So long a conversation may stand still when the active gateway host dies."""
MOST_LOST = 30
"""Of conversations that begin every 10 ms with an EIP while it moves. Lost are those that come to
the host that has left until the router hears of the next one: 15 at most in 54 moves."""


class EipLab:
    """The lab."""

    def __init__(self, run: Run, daemons: Daemons) -> None:
        self._site = Site(run, daemons)
        self._stage = Stage(self._site)
        self._tenants, self._visitors = self._stage.tenants, self._stage.visitors

    def bring_up(self) -> None:
        """Build everything and return when every port is realised."""
        started = time.monotonic()
        site = self._site
        site.start(reach=REACH)
        say(f"lab: two tenants with the same addresses; {' and '.join(REACH)} reach {BLOCK}")
        internet.create(site)
        for label in REACH:
            site.vpcctl(None, "host", "set", label, "--gateway")
        for tenant in (RED, BLUE):
            self._create_tenant(tenant)
        site.await_ports()
        say(f"lab: up in {time.monotonic() - started:.1f} s")
        print_topology(site.workloads, site.facts())
        say(f"  outside  {ROUTER}, a plain namespace on the provider's network")

    def check(self, checks: Checks) -> None:
        """Tell the story, then delete everything through the API and look for leftovers."""
        seen = [BLOCK, BLOCK6, FAR_BLOCK, TENANTS6]
        witness = Witness(self._site.wire, self._site.daemons, seen)
        self._stage.start()
        self._own_host(checks)
        self._moved(checks)
        self._nat(checks)
        reach_by_ipv6(self._stage, checks)
        trace(self._stage, checks)
        self._failover(checks)
        self._pulled(checks)
        self._drained(checks)
        self._cut_off(checks)
        self._alone(checks)
        call_everybody(self._stage, checks)
        reuse(self._stage, witness, checks)
        witness.testify(checks)
        witness.end()
        self._stage.end()
        self._take_down(checks)

    def describe(self) -> str:
        """Return how to use the lab from a shell: what leads to a first EIP, and who sees it."""
        return self._site.describe(
            NAME,
            "vpcctl eip list\n"
            f"vpcctl internet-gateway create red-out --vpc {RED} --network {internet.NETWORK}\n"
            f"vpcctl route add main 0.0.0.0/0 --vpc {RED} --to igw:red-out\n"
            f"vpcctl eip associate {eip_of(RED)} --port red-1 --wait",
            f"red-1 ping -c 2 {ROUTER}",
            f"outside ping -c 2 {self._address(RED)}",
        )

    def close(self) -> None:
        """End the hosts."""
        self._site.close()

    def _create_tenant(self, tenant: str) -> None:
        """Create a tenant's network, open to everybody, with an EIP and a way out."""
        site, api = self._site, self._site.tenant(tenant)
        self._tenants[tenant] = api
        vpc = api.post("/v1/vpcs", {"name": tenant, "cidrs": VPC_CIDRS[tenant]})
        subnets = {
            name: api.post("/v1/subnets", {"name": name, "vpc_id": vpc["id"], **blocks})
            for name, blocks in BLOCKS.items()
            if name.startswith(tenant)
        }
        group = api.post("/v1/security-groups", {"vpc_id": vpc["id"], "name": "open"})
        rules = [{"direction": way, "protocol": "any"} for way in _WAYS]
        api.post(f"/v1/security-groups/{group['id']}/rules", rules)
        for name, (subnet, label) in PLACES.items():
            if subnet in subnets:
                groups = [group["id"]]
                site.create_port(tenant, name, subnets[subnet], label, security_groups=groups)
        internet.create_eip(api, tenant)

    def _address(self, tenant: str) -> str:
        return self._stage.address(tenant)

    def _own_host(self, checks: Checks) -> None:
        say("\n1. An EIP for red-1, whose host reaches the network itself")
        port = self._stage.workload("red-1").port_id
        internet.lead_out(self._tenants[RED], port)
        self._expect_placed(RED, "distributed", checks)
        self._converse("red-1", self._address(RED), checks)
        self._expect_reached("red-1", "red-1", self._address(RED), checks)
        self._expect_told("outside", self._address(RED), _WIRE, _PORTS, checks)
        self._site.vpcctl(None, "external-network", "set", internet.NETWORK, "--mtu", str(_NARROW))
        visitor = self._visitors["red-1"]
        within(lambda: visitor.fit(ROUTER, PORT, _PORTS)[1] == _NARROW, seconds=PATIENCE_S)
        self._expect_told("red-1", ROUTER, _PORTS, _NARROW, checks)
        self._site.vpcctl(None, "external-network", "set", internet.NETWORK, "--mtu", str(_WIRE))

    def _expect_told(self, name: str, address: str, size: int, most: int, checks: Checks) -> None:
        """Let a visitor send a packet that is too large; it must hear what fits, and that does."""
        fits, told = self._visitors[name].fit(address, PORT, size)
        say(f"  {name} sends {size} bytes to {address}: told that {told} fit, {fits} come through")
        checks.expect((fits, told) == (most, most), f"{name} is told what fits on the way")

    def _moved(self, checks: Checks) -> None:
        say("\n2. The same EIP moves to red-2, on a host without a way out: through a gateway host")
        address = self._address(RED)
        words = ("eip", "associate", eip_of(RED), "--port", "red-2", "--move", "--wait")
        outside = self._visitors["outside"]
        outside.tick(address, PORT)
        outside.knock(address, PORT)
        time.sleep(0.3)
        self._site.vpcctl(RED, *words)
        self._expect_placed(RED, "gateway", checks)
        time.sleep(0.3)
        self._expect_heard("outside", "while it moves", checks)
        sent, lost = knocked(outside)
        few = sent > 0 and lost <= MOST_LOST
        checks.expect(few, f"at most {MOST_LOST} conversations are lost while an EIP moves")
        self._converse("red-2", address, checks)
        self._expect_told("outside", address, _WIRE, _PORTS, checks)
        who, _ = self._visitors["red-1"].call(ROUTER, PORT, 0.5)
        checks.expect(who is None, "red-1 reaches nobody outside without an EIP")
        say("  red-1, which has lost it, reaches nobody outside")

    def _nat(self, checks: Checks) -> None:
        say("\n3. A NAT gateway for blue, with a port that leads in")
        site, address = self._site, self._address(BLUE)
        inside = self._stage.workload("blue-1").addresses[4]
        site.vpcctl(
            BLUE,
            *("nat-gateway", "create", "out", "--vpc", BLUE, "--network", internet.NETWORK),
            *("--eip", eip_of(BLUE), "--wait"),
        )
        site.vpcctl(
            BLUE,
            *("nat-gateway", "forward", "add", "out", f"tcp/{FORWARDED}"),
            *("--to", f"{inside}:{PORT}", "--wait"),
        )
        words = ("route", "add", "main", "0.0.0.0/0", "--to", "nat:out", "--vpc", BLUE, "--wait")
        site.vpcctl(BLUE, *words)
        who, seen_as = self._visitors["blue-1"].call(ROUTER, PORT, PATIENCE_S)
        say(f"  blue-1 calls {ROUTER}: {who} answers, and sees {seen_as}")
        checks.expect((who, seen_as) == ("outside", address), "blue-1 is seen as its gateway's EIP")
        who, _ = self._visitors["outside"].call(address, FORWARDED, PATIENCE_S)
        say(f"  outside calls {address}:{FORWARDED}: {who} answers")
        checks.expect(who == "blue-1", "the forwarded port leads to blue-1")
        who, _ = self._visitors["outside"].call(address, PORT, 0.5)
        checks.expect(who is None, "no other port of the gateway's EIP leads in")
        self._expect_reached("blue-1", "red-2", address, checks)
        self._expect_reached("red-2", "red-2", self._address(RED), checks)

    def _expect_reached(self, name: str, other: str, seen_as: str, checks: Checks) -> None:
        """Let a workload call red's EIP, which is *other*'s, and be seen by its own."""
        address = self._address(RED)
        who, seen = self._visitors[name].call(address, PORT, PATIENCE_S)
        say(f"  {name} calls {address}: {who} answers, and sees {seen}")
        checks.expect((who, seen) == (other, seen_as), f"{name} reaches {other} by its EIP")

    def _failover(self, checks: Checks) -> None:
        say("\n6. The active gateway host dies while red-2 (EIP) and blue-1 (NAT) talk")
        active = self._active()
        others = [self._visitors[name] for name in ("red-2", "blue-1")]
        self._have_them_talk(others)
        say(f"  {active}: ovs-vswitchd and vpc-agent are killed")
        self._site.kill(active)
        time.sleep(_TAKEN_OVER_S)
        for visitor in others:
            self._expect_heard(visitor.workload.name, "when the host dies", checks)
        who, seen_as = self._visitors["blue-1"].call(ROUTER, PORT, PATIENCE_S)
        say(f"  blue-1 calls {ROUTER} again: {who} answers, and sees {seen_as}")
        checks.expect(seen_as == self._address(BLUE), "blue-1 keeps its address outside")
        self._converse("red-2", self._address(RED), checks)
        expect_global(self._stage, "red-2", checks)
        for visitor in others:
            self._expect_transferred(visitor, checks)
        moved = within(lambda: self._active() != active, seconds=_LATE_S)
        checks.expect(moved, "the database follows: another host is active")
        self._site.revive(active)
        back = within(lambda: self._standing()[active] == "standby", seconds=_LATE_S)
        checks.expect(back, f"{active} stands by again")
        time.sleep(_BACK_S)
        say(f"  {active} is back: {self._active()} stays the active one")
        checks.expect(self._active() != active, "who comes back takes nothing over")
        self._converse("red-2", self._address(RED), checks)

    @staticmethod
    def _have_them_talk(visitors: list[Visitor]) -> None:
        """Begin what is to outlive a host, and return when it is under way."""
        for visitor in visitors:
            visitor.tick(ROUTER, PORT)
            visitor.transfer(ROUTER, PORT)
        time.sleep(1.0)

    @staticmethod
    def _expect_transferred(visitor: Visitor, checks: Checks) -> None:
        """Wait for the end of a visitor's transfers, in which nothing may be missing."""
        name = visitor.workload.name
        for way, wrong in visitor.transferred().items():
            say(f"  {name}: {way}loading over TCP: {wrong or 'all data has come as it was sent'}")
            checks.expect(not wrong, f"a connection of {name} outlives the host ({way}loading)")

    def _pulled(self, checks: Checks) -> None:
        say("\n7. The active host lives on, and its cable to the provider is pulled")
        active = self._active()
        others = [self._visitors[name] for name in ("red-2", "blue-1")]
        for visitor in others:
            visitor.tick(ROUTER, PORT)
        time.sleep(0.5)
        self._site.pull(active)
        time.sleep(_PULLED_S)
        for visitor in others:
            self._expect_heard(visitor.workload.name, "when the cable is pulled", checks)
        stood = self._standing()
        say(f"  {active} stands for nothing there ({stood[active] or 'not listed'})")
        checks.expect(not stood[active], f"{active} has told that it does not reach the network")
        self._site.plug_in(active)
        back = within(lambda: self._standing()[active] == "standby", seconds=_LATE_S)
        checks.expect(back, f"{active} stands by again when the cable is back")

    def _drained(self, checks: Checks) -> None:
        say("\n8. The active host is drained while conversations begin every 10 ms")
        active, callers = self._active(), knock(self._stage, FORWARDED)
        time.sleep(0.3)
        self._site.vpcctl(None, "host", "drain", active, "--wait")
        left = not self._standing()[active]
        checks.expect(left, f"{active} stands for nothing when the command is done")
        time.sleep(0.3)
        for caller in callers:
            sent, lost = knocked(caller)
            none = f"no conversation of {caller.workload.name} is lost in a move"
            checks.expect(sent > 0 and not lost, none)
        self._site.vpcctl(None, "host", "undrain", active)
        back = within(lambda: self._standing()[active] == "standby", seconds=_LATE_S)
        checks.expect(back, f"{active} stands by again")

    def _cut_off(self, checks: Checks) -> None:
        active = self._active()
        cut_off(self._stage, active, FORWARDED, checks)
        say(f"  {self._active()} has been the active one all the time")
        checks.expect(self._active() == active, f"{active} stays the active one")

    def _alone(self, checks: Checks) -> None:
        say("\n10. The controller dies, and then the active gateway host")
        active, address = self._active(), self._address(BLUE)
        others = [self._visitors[name] for name in ("red-2", "blue-1")]
        saved = within(self._site.hosts[active].has_saved_program, seconds=_LATE_S)
        checks.expect(saved, f"{active} has saved its flows")
        self._have_them_talk(others)
        self._site.kill_controller()
        self._site.kill(active)
        say(f"  the controller is killed, and then {active}")
        time.sleep(_TAKEN_OVER_S)
        for visitor in others:
            self._expect_heard(visitor.workload.name, "without a controller", checks)
        who, seen_as = self._visitors["blue-1"].call(ROUTER, PORT, PATIENCE_S)
        say(f"  blue-1 calls {ROUTER} again: {who} answers, and sees {seen_as}")
        checks.expect(seen_as == address, "blue-1 keeps its address all the same")
        expect_global(self._stage, "red-2", checks)
        for visitor in others:
            self._expect_transferred(visitor, checks)
        self._returned_alone(active, checks)
        self._site.revive_controller()
        self._site.await_hosts()
        behind = within(lambda: self._standing()[active] == "standby", seconds=_LATE_S)
        checks.expect(behind, f"{active} stands by when the controller is back, too")

    def _returned_alone(self, active: str, checks: Checks) -> None:
        """Let the host that was active come back while nobody tells it that another one is."""
        blue, hosts = self._visitors["blue-1"], self._site.hosts
        other = next(label for label in REACH if label != active)
        blue.tick(ROUTER, PORT)
        self._site.revive(active)
        back = within(lambda: hosts[active].flow_count() > _FEW_FLOWS, seconds=_LATE_S)
        checks.expect(back, f"{active} has its flows again, without a controller")
        before = {label: hosts[label].sent_outside() for label in REACH}
        time.sleep(_STAYS_S)
        sent = {label: hosts[label].sent_outside() - before[label] for label in REACH}
        told = ", ".join(f"{label} has sent {sent[label]}" for label in REACH)
        say(f"  {active} is back, without a controller; frames to the provider since: {told}")
        checks.expect(sent[active] * 10 < sent[other], f"{active} takes nothing over by itself")
        self._expect_heard("blue-1", "when a host comes back without a controller", checks)

    def _expect_heard(self, name: str, when: str, checks: Checks) -> None:
        """Have a visitor stop to tick; it must have been heard, but for a second at most."""
        sent, back, silence = self._visitors[name].stop()
        said = f"{back} of {sent} datagrams came back, the longest silence was {silence} ms"
        say(f"  {name}: {said}")
        checks.expect(0 < silence <= SILENCE_MS, f"{name} is silent for a second at most {when}")

    def _active(self) -> str:
        """Return the label of the host that is active for blue's NAT gateway."""
        standing = self._standing()
        active = [label for label, state in standing.items() if state == "active"]
        if not active:
            raise LabError(f"no host stands for the NAT gateway: {standing}")
        return active[0]

    def _standing(self) -> dict[str, str]:
        """Return the state of each of its gateway hosts by label."""
        shown = json.loads(
            self._site.vpcctl(BLUE, "nat-gateway", "show", "out", "--output", "json")
        )
        states = {one["host_id"]: one["state"] for one in shown["placement"]["hosts"]}
        return {
            label: states.get(host.params["id"], "") for label, host in self._site.hosts.items()
        }

    def _converse(self, name: str, address: str, checks: Checks) -> None:
        """Let outside call *name* at its EIP, and *name* call outside."""
        internet.expect_answer(self._visitors["outside"], address, name, checks)
        who, seen_as = self._visitors[name].call(ROUTER, PORT, PATIENCE_S)
        internet.expect_seen(name, who, seen_as, address, checks)

    def _expect_placed(self, tenant: str, mode: str, checks: Checks) -> None:
        within(lambda: self._placement(tenant)["mode"] == mode, seconds=PATIENCE_S)
        placement = self._placement(tenant)
        say(f"  placement: {placement['mode']}, since revision {placement['since_revision']}")
        checks.expect(placement["mode"] == mode, f"the EIP is realised as {mode}")

    def _placement(self, tenant: str) -> dict[str, Any]:
        return self._tenants[tenant].get("/v1/eips")["items"][0]["placement"]

    def _take_down(self, checks: Checks) -> None:
        say("\nEverything is taken down")
        site = self._site
        for api in self._tenants.values():
            internet.take_back(api)
        kinds = ("nat-gateways", "internet-gateways", "eips", "ports", "subnets", "route-tables")
        site.take_down((*kinds, "security-groups", "vpcs", "external-networks"), checks)


_WAYS = ("ingress", "egress")


if __name__ == "__main__":
    if not PYTHON.exists():
        sys.exit(f"lab: {PYTHON} is not there: run `make install` first")
    sys.exit(lifecycle.main(NAME, EipLab))
