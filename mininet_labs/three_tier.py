"""Web, application and database servers on three hosts, with security groups between them.

Who reaches whom is probed service by service. Then a rule is taken away under a connection that
carries data, and given back; and a workload joins a group and leaves it again.

Run as root by Debian's Python: ``python3 -m mininet_labs.three_tier run``.
"""

import sys
import time
from typing import Any

from mininet_labs.common import lifecycle
from mininet_labs.common.hypervisor import PYTHON
from mininet_labs.common.processes import Daemons, LabError
from mininet_labs.common.reachability import probe_pairs, start_probers
from mininet_labs.common.report import Checks, check_matrix, print_matrix, print_topology, say
from mininet_labs.common.rest import Api
from mininet_labs.common.runs import Run
from mininet_labs.common.site import PATIENCE_S, Site
from mininet_labs.common.watching import Stream, Streamer
from mininet_labs.common.workloads import FAMILIES, Workload
from mininet_labs.three_tier_plan import (
    ACL_RULES,
    ACL_SUBNET,
    DB,
    GROUPS,
    GROUPS_OF,
    LEGEND,
    PLACES,
    SERVICES,
    SUBNETS,
    TENANT,
    VPC_CIDRS,
    Rule,
    expected,
    letters,
)

NAME = "three_tier"
_REFUSED_S = 0.5
"""How long a connection is tried that should not come about."""


class ThreeTier:
    """The lab.

    Everything but the places of ports is the tenant's own doing, with the tenant's token.
    """

    def __init__(self, run: Run, daemons: Daemons) -> None:
        self._site = Site(run, daemons)
        self._tenant: Api | None = None
        self._groups: dict[str, str] = {}
        self._address_groups: dict[str, str] = {}

    @property
    def _api(self) -> Api:
        if self._tenant is None:
            raise LabError("the lab is not up")
        return self._tenant

    def bring_up(self) -> None:
        """Build everything and return when every port is realised."""
        started = time.monotonic()
        site = self._site
        site.start()
        say(f"lab: three tiers, an office and guests: {len(PLACES)} workloads")
        self._tenant = site.tenant(TENANT)
        vpc = self._api.post("/v1/vpcs", {"name": TENANT, "cidrs": list(VPC_CIDRS)})
        self._create_groups(vpc["id"])
        self._create_ports(vpc["id"])
        site.await_ports()
        say(f"lab: up in {time.monotonic() - started:.1f} s")
        print_topology(site.workloads, site.facts())
        say("\nGroups")
        for words in (("list",), ("rule", "list", "app"), ("rule", "list", "db")):
            say(site.vpcctl(TENANT, "sg", *words).rstrip())

    def check(self, checks: Checks) -> None:
        """Probe everybody, watch connections, then delete everything through the API."""
        self._check_matrix(checks)
        streamers = self._start_streamers("app-1", "web-1", "db-1")
        self._watch_revocation(streamers, checks)
        self._watch_membership(streamers, checks)
        for streamer in streamers.values():
            streamer.end()
        # A group that another one's rule names is needed, and some name each other.
        for group in GROUPS:
            self._remove_rules(group)
        self._site.take_down(
            ("ports", "subnets", "network-acls", "security-groups", "address-groups", "vpcs"),
            checks,
        )

    def describe(self) -> str:
        """Return how to use the lab from a shell."""
        first = next(w for w in self._site.workloads if w.name == "office-1")
        last = next(w for w in self._site.workloads if w.name == "web-2")
        return self._site.describe(
            NAME,
            "vpcctl sg list\n"
            "vpcctl sg rule list db\n"
            "vpcctl port list\n"
            "vpcctl sg rule add web --ingress tcp/8443 --from 0.0.0.0/0",
            f"{first.name} ping -c 3 {last.addresses[4]}",
        )

    def close(self) -> None:
        """End the hosts."""
        self._site.close()

    def _create_groups(self, vpc_id: str) -> None:
        """Create every group, then their rules: they name each other."""
        office = SUBNETS["office"]
        blocks = [word for cidr in office.values() for word in ("--cidr", cidr)]
        self._site.vpcctl(TENANT, "address-group", "create", "office", *blocks)
        for item in self._api.get("/v1/address-groups")["items"]:
            self._address_groups[item["name"]] = item["id"]
        for name in GROUPS:
            made = self._api.post("/v1/security-groups", {"vpc_id": vpc_id, "name": name})
            self._groups[name] = made["id"]
        for name, rules in GROUPS.items():
            path = f"/v1/security-groups/{self._groups[name]}/rules"
            self._api.post(path, [body for rule in rules for body in self._bodies(rule)])

    def _create_ports(self, vpc_id: str) -> None:
        acl = self._api.post("/v1/network-acls", _acl(vpc_id))
        subnets = {
            name: self._api.post(
                "/v1/subnets",
                {"name": name, "vpc_id": vpc_id, **blocks}
                | ({"network_acl_id": acl["id"]} if name == ACL_SUBNET else {}),
            )
            for name, blocks in SUBNETS.items()
        }
        for name, (subnet, host) in PLACES.items():
            groups, fields = GROUPS_OF[subnet], {}
            if groups is not None:
                fields["security_groups"] = [self._groups[group] for group in groups]
            self._site.create_port(TENANT, name, subnets[subnet], host, **fields)

    def _check_matrix(self, checks: Checks) -> None:
        workloads = self._site.workloads
        probers = start_probers(workloads, SERVICES, self._site.daemons)
        sights = probe_pairs(probers, SERVICES, expected, PATIENCE_S)
        print_matrix(workloads, sights, expected, letters, LEGEND)
        check_matrix(workloads, sights, SERVICES, expected, checks)
        for prober in probers:
            prober.end()

    def _start_streamers(self, *names: str) -> dict[str, Streamer]:
        chosen = [workload for workload in self._site.workloads if workload.name in names]
        streamers = {one.name: Streamer(one, self._site.daemons) for one in chosen}
        for streamer in streamers.values():
            streamer.wait()
        streamers["db-1"].listen(DB)
        return streamers

    def _watch_revocation(self, streamers: dict[str, Streamer], checks: Checks) -> None:
        """Take the rule away under a connection, and give it back."""
        say(f"\nA rule goes: app-1 → db-1, tcp/{DB}, records to and fro every 2 ms")
        near, far = streamers["app-1"], streamers["db-1"]
        streams = [Stream(near, far, family, DB) for family in FAMILIES]
        _open(streams, checks)
        say("  DELETE /v1/security-groups/…/rules/…: app → db, of either family")
        started = self._remove_rules("db")
        counts = _expect_stop(streams, started, checks)
        _expect_refusal([Stream(near, far, family, DB, "again") for family in FAMILIES], checks)
        _expect_silence(streams, counts, checks)
        started = time.monotonic()
        self._site.vpcctl(
            TENANT, "sg", "rule", "add", "db", "--ingress", f"tcp/{DB}", "--from-group", "app"
        )
        _expect_return(streams, started, checks)
        for stream in streams:
            stream.close()

    def _watch_membership(self, streamers: dict[str, Streamer], checks: Checks) -> None:
        """Let a web server join the application servers, and leave them."""
        say(f"\nA member comes and goes: web-1 → db-1, tcp/{DB}, which is for members of app")
        near, far = streamers["web-1"], streamers["db-1"]
        streams = [Stream(near, far, family, DB) for family in FAMILIES]
        _expect_refusal(streams, checks)
        started = self._set_groups(near.workload, "web", "ssh", "app")
        _open(streams, checks, started)
        started = self._set_groups(near.workload, "web", "ssh")
        counts = _expect_stop(streams, started, checks)
        _expect_refusal([Stream(near, far, family, DB, "again") for family in FAMILIES], checks)
        _expect_silence(streams, counts, checks)
        for stream in streams:
            stream.close()

    def _remove_rules(self, group: str) -> float:
        """Take all rules of a group away; return when that was first asked for."""
        path = f"/v1/security-groups/{self._groups[group]}/rules"
        rules = self._api.get(path)["items"]
        started = time.monotonic()
        for rule in rules:
            self._api.delete(f"{path}/{rule['id']}")
        return started

    def _set_groups(self, workload: Workload, *groups: str) -> float:
        """Put a workload's port into groups; return when that was asked for."""
        say(f"  PATCH /v1/ports/{workload.port_id}: in {', '.join(groups)}")
        started = time.monotonic()
        body = {"security_groups": [self._groups[name] for name in groups]}
        self._api.patch(f"/v1/ports/{workload.port_id}", body)
        return started

    def _bodies(self, rule: Rule) -> list[dict[str, Any]]:
        """Return a rule as the API takes it: twice for ICMP, which is another one in IPv6."""
        protocol, _, ports = rule.what.partition("/")
        kind, _, name = rule.remote.partition(" ")
        body: dict[str, Any] = {"direction": rule.direction, "protocol": protocol}
        if ports:
            body["ports"] = ports
        if kind == "group":
            body["remote"] = {"security_group_id": self._groups[name]}
        if kind == "addresses":
            body["remote"] = {"address_group_id": self._address_groups[name]}
        if protocol == "icmp":
            return [body, body | {"protocol": "icmpv6"}]
        return [body]


def _acl(vpc_id: str) -> dict[str, Any]:
    """Return the network ACL as the API takes it."""
    entries = [
        {
            "number": number + index,
            "direction": direction,
            "action": "allow",
            "protocol": protocol,
            "ports": ports,
            "cidr": cidr,
        }
        for number, direction, protocol, ports in ACL_RULES
        for index, cidr in enumerate(VPC_CIDRS)
    ]
    return {"vpc_id": vpc_id, "name": ACL_SUBNET, "entries": entries}


def _open(streams: list[Stream], checks: Checks, started: float | None = None) -> None:
    """Open streams that should come about; *started* is when that was made so."""
    moments = {stream: stream.open(PATIENCE_S) for stream in streams}
    for stream, opened in moments.items():
        flows = opened is not None and stream.flows(PATIENCE_S)
        checks.expect(flows, f"{stream}: connected, and data flows")
        after = f" after {_ms(opened - started)}" if opened and started else ""
        say(f"  {stream}: connected{after}, and data flows: {_yes(flows)}")


def _expect_refusal(streams: list[Stream], checks: Checks) -> None:
    """Try to open streams that should not come about."""
    for stream in streams:
        refused = stream.open(_REFUSED_S) is None
        say(f"  {stream}: no new connection within {_REFUSED_S:g} s: {_yes(refused)}")
        checks.expect(refused, f"{stream}: no new connection while no rule allows it")


def _expect_stop(streams: list[Stream], started: float, checks: Checks) -> dict[str, int]:
    """Wait until nothing comes any more; say when the last of it came; return how much came."""
    counts = {}
    for stream in streams:
        stopped = stream.stops(PATIENCE_S)
        there, back = stream.ends()
        counts[stream.name] = there.count + back.count
        checks.expect(stopped, f"{stream}: the established connection stops")
        if stopped:
            last = f"{_ms(there.last - started)} there, {_ms(back.last - started)} back"
            say(f"  {stream}: stopped; the last record came after {last}")
        else:
            say(f"  {stream}: goes on")
    return counts


def _expect_silence(streams: list[Stream], counts: dict[str, int], checks: Checks) -> None:
    """Check that nothing has come since *counts*."""
    for stream in streams:
        silent = sum(end.count for end in stream.ends()) == counts[stream.name]
        say(f"  {stream}: not one record since: {_yes(silent)}")
        checks.expect(silent, f"{stream}: nothing comes through later either")


def _expect_return(streams: list[Stream], started: float, checks: Checks) -> None:
    """Wait until data flows again and check that nothing was lost."""
    for stream in streams:
        flows = stream.flows(PATIENCE_S)
        count = stream.catches_up(PATIENCE_S)
        there, back = stream.ends()
        whole = count is not None and there.in_order and back.in_order
        checks.expect(flows, f"{stream}: the same connection goes on")
        checks.expect(whole, f"{stream}: no record is lost or twice there")
        after = _ms(max(there.resumed, back.resumed) - started)
        pace = "the command takes a while, and TCP tries again at its own pace"
        say(f"  {stream}: goes on after {after} ({pace}): {_yes(flows)}")
        say(f"  {stream}: all {count} records came there and back, in order: {_yes(whole)}")


def _ms(seconds: float) -> str:
    return f"{max(0.0, seconds) * 1000:.0f} ms"


def _yes(good: bool) -> str:
    return "yes" if good else "NO"


if __name__ == "__main__":
    if not PYTHON.exists():
        sys.exit(f"lab: {PYTHON} is not there: run `make install` first")
    sys.exit(lifecycle.main(NAME, ThreeTier))
