"""OVN's security groups, as Neutron builds them: port groups, address sets, stateful ACLs.

A port group per security group; for each ``$<port group>_ip4`` northd keeps the address set.
Rules are ACLs ``allow-related``. A further port group holds every port that is in any of them and
drops what no rule allows (neutron/common/ovn/acl.py).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from bench.addressing import PortSpec
from bench.ovsdb import insert, ovs_set, where
from bench.policies.base import Memberships, Rule
from bench.systems.ovn import Ovn

DROP = "pg_drop"
_DROP_PRIORITY, _ALLOW_PRIORITY = 1001, 1002


class OvnPolicies:
    """Port groups and ACLs of one OVN, through its persistent connection."""

    def __init__(self, ovn: Ovn) -> None:
        self._ovn = ovn
        self.memberships = Memberships()
        self._uuids: dict[str, Any] = {}

    def create(self, group: str, rules: Sequence[Rule]) -> None:
        """Create the port group with its ACLs in one transaction."""
        self._drop_by_default()
        acls = [acl(group, rule) for rule in rules]
        self._ovn.nb.transact(*_with_acls(acls), _port_group(group, len(acls)))

    def _drop_by_default(self) -> None:
        if not self._ovn.nb.select("Port_Group", where("name", DROP), ["_uuid"]):
            acls = [drop("ingress"), drop("egress")]
            self._ovn.nb.transact(*_with_acls(acls), _port_group(DROP, len(acls)))

    def delete(self, group: str) -> None:
        """Delete the port group; its ACLs go with it."""
        name = port_group(group)
        gone = {"op": "delete", "table": "Port_Group", "where": where("name", name)}
        self._ovn.nb.transact(gone)

    def add_rules(self, group: str, rules: Sequence[Rule]) -> None:
        """Add ACLs in one transaction."""
        names = ovs_set([["named-uuid", f"acl{number}"] for number in range(len(rules))])
        acls = [acl(group, rule) for rule in rules]
        self._ovn.nb.transact(
            *_with_acls(acls), _mutate(port_group(group), ("acls", "insert", names))
        )

    def remove_rules(self, group: str, rules: Sequence[Rule]) -> None:
        """Remove ACLs in one transaction."""
        found: list[Any] = []
        for rule in rules:
            row = acl(group, rule)
            condition = [[name, "==", row[name]] for name in ("direction", "match", "priority")]
            found += [line["_uuid"] for line in self._ovn.nb.select("ACL", condition, ["_uuid"])]
        gone = ovs_set(found)
        self._ovn.nb.transact(_mutate(port_group(group), ("acls", "delete", gone)))

    def join(self, group: str, ports: Sequence[PortSpec]) -> None:
        """Put ports into the port group, and under the default, in one transaction."""
        uuids = ovs_set([self._uuid(port) for port in ports])
        changes = [_mutate(port_group(group), ("ports", "insert", uuids))]
        if fresh := self.memberships.join(group, ports):
            uuids = ovs_set([self._uuid(port) for port in fresh])
            changes.append(_mutate(DROP, ("ports", "insert", uuids)))
        self._ovn.nb.transact(*changes)

    def leave(self, group: str, ports: Sequence[PortSpec]) -> None:
        """Take ports out of the port group, and what is in no other one out of the default's."""
        uuids = ovs_set([self._uuid(port) for port in ports])
        changes = [_mutate(port_group(group), ("ports", "delete", uuids))]
        if free := self.memberships.leave(group, ports):
            uuids = ovs_set([self._uuid(port) for port in free])
            changes.append(_mutate(DROP, ("ports", "delete", uuids)))
        self._ovn.nb.transact(*changes)

    def _uuid(self, port: PortSpec) -> Any:
        # A client that keeps a copy of the database would not ask either.
        if port.name not in self._uuids:
            condition = where("name", port.name)
            rows = self._ovn.nb.select("Logical_Switch_Port", condition, ["_uuid"])
            self._uuids[port.name] = rows[0]["_uuid"]
        return self._uuids[port.name]


def port_group(group: str) -> str:
    """Return the port group's name."""
    return f"pg_{group.replace('-', '_')}"


def acl(group: str, rule: Rule) -> dict[str, Any]:
    """Return a rule as a row of the ACL table."""
    near, far = ("outport", "src") if rule.direction == "ingress" else ("inport", "dst")
    words = [f"{near} == @{port_group(group)}", "ip4"]
    if rule.group is not None:
        words.append(f"ip4.{far} == ${port_group(rule.group)}_ip4")
    if rule.cidr is not None:
        words.append(f"ip4.{far} == {rule.cidr}")
    if rule.protocol is not None:
        words.append("icmp4" if rule.protocol == "icmp" else rule.protocol)
    if rule.port is not None:
        words.append(f"{rule.protocol}.dst == {rule.port}")
    return {
        "action": "allow-related",
        "direction": "to-lport" if rule.direction == "ingress" else "from-lport",
        "match": " && ".join(words),
        "priority": _ALLOW_PRIORITY,
    }


def drop(direction: str) -> dict[str, Any]:
    """Return the ACL that drops what no rule allows."""
    near, side = ("outport", "to-lport") if direction == "ingress" else ("inport", "from-lport")
    return {
        "action": "drop",
        "direction": side,
        "match": f"{near} == @{DROP} && ip",
        "priority": _DROP_PRIORITY,
    }


def _with_acls(acls: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [insert("ACL", row, f"acl{number}") for number, row in enumerate(acls)]


def _port_group(group: str, acls: int) -> dict[str, Any]:
    names = ovs_set([["named-uuid", f"acl{number}"] for number in range(acls)])
    name = group if group == DROP else port_group(group)
    return insert("Port_Group", {"name": name, "acls": names})


def _mutate(name: str, mutation: tuple[str, str, Any]) -> dict[str, Any]:
    return {
        "op": "mutate",
        "table": "Port_Group",
        "where": where("name", name),
        "mutations": [list(mutation)],
    }
