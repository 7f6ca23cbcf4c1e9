"""Our security groups, through the persistent REST connection."""

from collections.abc import Sequence
from typing import Any

from bench.addressing import PortSpec
from bench.policies.base import Memberships, Rule
from bench.systems.ours import Ours


class OursPolicies:
    """The groups of the bench's VPC; a port in none of them is in the group that allows all."""

    def __init__(self, ours: Ours) -> None:
        self._ours = ours
        self._ids: dict[str, str] = {}
        self._rules: dict[tuple[str, Rule], str] = {}
        self.memberships = Memberships()

    def create(self, group: str, rules: Sequence[Rule]) -> None:
        """Create a group with its rules by one request."""
        body = {
            "vpc_id": self._ours.vpc_id,
            "name": group,
            "rules": [self._body(rule) for rule in rules],
        }
        made = self._ours.api.call("POST", "/v1/security-groups", body)
        self._ids[group] = made["id"]
        self._note(group, rules, made["rules"])

    def _note(self, group: str, rules: Sequence[Rule], made: Sequence[dict[str, Any]]) -> None:
        for rule, line in zip(rules, made, strict=True):
            self._rules[group, rule] = line["id"]

    def delete(self, group: str) -> None:
        """Delete a group."""
        self._ours.api.call("DELETE", f"/v1/security-groups/{self._ids.pop(group)}")

    def add_rules(self, group: str, rules: Sequence[Rule]) -> None:
        """Add rules by one request."""
        bodies = [self._body(rule) for rule in rules]
        made = self._ours.api.call("POST", self._path(group), bodies)
        self._note(group, rules, made["items"])

    def remove_rules(self, group: str, rules: Sequence[Rule]) -> None:
        """Remove rules, one request each."""
        there = [rule for rule in rules if (group, rule) in self._rules]
        for rule in there:
            rule_id = self._rules.pop((group, rule))
            self._ours.api.call("DELETE", f"{self._path(group)}/{rule_id}")

    def join(self, group: str, ports: Sequence[PortSpec]) -> None:
        """Put ports into a group as well, one request each."""
        self.memberships.join(group, ports)
        self._tell(ports)

    def leave(self, group: str, ports: Sequence[PortSpec]) -> None:
        """Take ports out of a group, one request each."""
        self.memberships.leave(group, ports)
        self._tell(ports)

    def _tell(self, ports: Sequence[PortSpec]) -> None:
        for port in ports:
            groups = self.memberships.groups_of(port)
            ids = [self._ids[group] for group in sorted(groups)] or [self._ours.open_group]
            path = f"/v1/ports/{self._ours.interface_id(port)}"
            self._ours.api.call("PATCH", path, {"security_groups": ids})

    def _path(self, group: str) -> str:
        return f"/v1/security-groups/{self._ids[group]}/rules"

    def _body(self, rule: Rule) -> dict[str, Any]:
        body: dict[str, Any] = {"direction": rule.direction, "family": "ipv4"}
        if rule.protocol is not None:
            body["protocol"] = rule.protocol
        if rule.port is not None:
            body["ports"] = str(rule.port)
        if rule.cidr is not None:
            body["remote"] = {"cidr": rule.cidr}
        if rule.group is not None:
            body["remote"] = {"security_group_id": self._ids[rule.group]}
        return body
