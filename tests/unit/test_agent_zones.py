"""When conntrack zones are emptied: against a pretended host, whose entries are counted."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.decide import zone_record
from agent.decide.rows import InterfaceRow
from agent.decide.zone_record import Header
from agent.decide.zones import ANYBODY, ASKING_S, PATIENCE_S, Chore, Use, Zones
from agent.host import Host
from agent.wire.report import ReportAnswer
from agent.wire.state import HostState

PORTS = tuple(f"port-{at:017x}" for at in range(4))
HEADER = Header("host-00000000000000001", "kernel", complete=True)
AT = 5


def row(name: str = "a", port: str = PORTS[0], ofport: int | None = AT, **more) -> InterfaceRow:
    ids = {"iface-id": port} if port else {}
    return InterfaceRow(f"uuid-{name}", name, ofport=ofport, external_ids=ids, **more)


def answer(revision: int | None = 1, reached: int | None = 0, **more) -> ReportAnswer:
    return ReportAnswer(accepted=True, revision=revision, reached_revision=reached, **more)


def state(revision: int, *released: str) -> HostState:
    values = {"host_id": HEADER.host_id, "name": "h", "dpid": 1, "openflow_targets": ()}
    return HostState(revision=revision, released=released, **values)


def report(zones: Zones, given: ReportAnswer, now: float = 0.0) -> list[Chore]:
    zones.sending(now)
    zones.answered(given, now)
    return zones.due(now)


# --- one after the other --------------------------------------------------------------------------


def test_a_clean_zone_costs_nothing() -> None:
    zones = Zones()
    zones.take_row(row(), 0.0)
    assert zones.due(0.0) == []
    assert zones.may_claim(row())
    assert zones.take_written() == {AT: Use(PORTS[0], "uuid-a")}


def test_a_zone_of_nat_gateways_is_nobodys() -> None:
    zones = Zones()
    zones.take_row(row(ofport=0x8000), 0.0)
    assert report(zones, answer()) == []
    assert zones.take_written() == {}
    assert zones.may_claim(row(ofport=0x8000)), "nobody takes it for a port"


def test_another_port_waits_for_the_switch_and_then_for_its_zone() -> None:
    zones = Zones()
    zones.take_row(row(), 0.0)
    zones.forget_row("uuid-a", 0.0)
    zones.take_row(row("b", PORTS[1]), 0.0)
    assert not zones.may_claim(row("b", PORTS[1]))
    assert zones.due(0.0) == [], "the controller has not been told"
    assert report(zones, answer(7, 6)) == [], "the switch has not confirmed"
    assert report(zones, answer(9, 7)) == [Chore(AT)]
    assert not zones.may_claim(row("b", PORTS[1])), "it has not been emptied"
    assert zones.emptied(Chore(AT)) == "uuid-b"
    assert zones.may_claim(row("b", PORTS[1]))
    assert zones.due(0.0) == []


def test_an_end_that_is_told_in_a_later_report_waits_for_that() -> None:
    zones = Zones()
    zones.take_row(row(), 0.0)
    zones.sending(0.0)
    zones.forget_row("uuid-a", 0.0)
    zones.answered(answer(7, 7), 0.0)
    assert zones.due(0.0) == []
    assert report(zones, answer(8, 7)) == []
    assert report(zones, answer(8, 8)) == [Chore(AT)]


def test_a_refused_report_says_nothing() -> None:
    zones = Zones()
    zones.take_row(row(), 0.0)
    zones.forget_row("uuid-a", 0.0)
    assert report(zones, answer(3, 9, full_report_needed=True)) == []
    assert report(zones, answer(3, 9)) == [Chore(AT)]


def test_a_controller_restored_from_a_copy_is_followed_to_its_lower_revisions() -> None:
    zones = Zones()
    zones.take_row(row(), 0.0)
    zones.forget_row("uuid-a", 0.0)
    assert report(zones, answer(1000, 999)) == []
    assert report(zones, answer(500, 499)) == []
    assert report(zones, answer(500, 500)) == [Chore(AT)]


def test_patience_ends_and_nobody_waiting_needs_none() -> None:
    zones = Zones()
    zones.take_row(row(), 0.0)
    zones.forget_row("uuid-a", 0.0)
    report(zones, answer(7, 6))
    assert zones.due(PATIENCE_S + 1) == []
    zones.take_row(row("b", PORTS[1]), 1.0)
    assert zones.due(PATIENCE_S) == [Chore(AT)]


def early() -> Zones:
    """Another port is at an ofport, reported there though the switch has not confirmed the end."""
    zones = Zones()
    zones.take_row(row(), 0.0)
    zones.forget_row("uuid-a", 0.0)
    report(zones, answer(7, 6))
    zones.take_row(row("b", PORTS[1]), 0.0)
    assert zones.due(PATIENCE_S) == [Chore(AT)]
    assert zones.emptied(Chore(AT)) == "uuid-b"
    assert zones.may_claim(row("b", PORTS[1]))
    return zones


def test_what_old_flows_have_put_in_after_patience_ended_is_emptied_at_their_end() -> None:
    zones = early()
    assert zones.is_early()
    assert zones.is_pending()
    assert not zones.is_waiting()
    assert report(zones, answer(8, 6)) == []
    assert report(zones, answer(8, 7)) == [Chore(AT, again=True)]
    assert zones.may_claim(row("b", PORTS[1])), "it stays reported"
    assert zones.emptied(Chore(AT, again=True)) is None
    assert report(zones, answer(9, 9)) == [], "once"
    assert not zones.is_pending()
    assert zones.take_written() == {AT: Use(PORTS[1], "uuid-b")}


def test_patience_of_a_port_that_leaves_while_its_zone_is_emptied_ends_nothing() -> None:
    zones = Zones()
    zones.take_row(row(), 0.0)
    zones.forget_row("uuid-a", 0.0)
    report(zones, answer(7, 6))
    zones.take_row(row("b", PORTS[1]), 0.0)
    assert zones.due(PATIENCE_S) == [Chore(AT)]
    zones.forget_row("uuid-b", PATIENCE_S)
    assert zones.emptied(Chore(AT)) is None
    zones.take_row(row("c", PORTS[2]), PATIENCE_S)
    assert not zones.may_claim(row("c", PORTS[2])), "flows of the first may still be there"
    assert report(zones, answer(7, 7), PATIENCE_S) == [Chore(AT)]


def test_an_agent_that_starts_before_old_flows_are_gone_waits_for_them_too() -> None:
    zones = early()
    assert zones.take_written() == zones.recorded() == {AT: ANYBODY}
    found = zone_record.read(zone_record.write(HEADER, zones.recorded()))
    assert found == (HEADER, {AT: ANYBODY})
    after = Zones(found[1])
    after.take_row(row("b", PORTS[1]), 0.0)
    after.finish_reading(0.0)
    assert not after.may_claim(row("b", PORTS[1]))
    assert report(after, answer(8, 8)) == [Chore(AT)]


def test_a_port_that_leaves_before_old_flows_are_gone_has_its_zone_emptied_after_both() -> None:
    for reached, patient in ((7, True), (8, True), (6, False)):
        zones = early()
        zones.forget_row("uuid-b", 6.0)
        zones.take_row(row("c", PORTS[2]), 6.0)
        assert report(zones, answer(8, reached), 6.0) == ([Chore(AT)] if reached == 8 else [])
        if not patient:
            assert zones.due(20.0) == [Chore(AT)]
        else:
            assert report(zones, answer(8, 8), 6.0) == [Chore(AT)]
        assert zones.emptied(Chore(AT)) == "uuid-c"
        assert zones.is_early() != patient
        assert report(zones, answer(9, 7), 6.0) == []
        assert report(zones, answer(9, 9), 6.0) == ([] if patient else [Chore(AT, again=True)])


def test_the_same_port_plugged_anew_before_old_flows_are_gone_is_emptied_twice() -> None:
    zones = early()
    zones.forget_row("uuid-b", 6.0)
    zones.take_row(row("c", PORTS[1]), 6.0)
    assert zones.due(6.0) == [Chore(AT)]
    zones.emptied(Chore(AT))
    assert report(zones, answer(8, 7), 6.0) == [Chore(AT, again=True)]


def test_the_same_port_plugged_anew_gets_an_empty_zone_at_once() -> None:
    zones = Zones()
    zones.take_row(row(), 0.0)
    zones.forget_row("uuid-a", 0.0)
    zones.take_row(row("b"), 0.0)
    assert zones.due(0.0) == [Chore(AT)]
    assert zones.is_hurrying(0.0)
    assert not zones.is_hurrying(1.0), "a report does not wait for ever"
    assert zones.emptied(Chore(AT)) == "uuid-b"
    assert not zones.is_hurrying(0.0)


def test_a_port_that_comes_back_and_leaves_again_is_waited_for() -> None:
    zones = Zones()
    zones.take_row(row(), 0.0)
    zones.forget_row("uuid-a", 0.0)
    zones.take_row(row("b"), 0.0)
    zones.take_row(row("b", PORTS[1]), 0.0)
    assert zones.due(0.0) == [], "its flows are still there"
    assert report(zones, answer(7, 6)) == []
    assert report(zones, answer(7, 7)) == [Chore(AT)]


def test_an_iface_id_taken_away_or_changed_ends_the_use() -> None:
    for port in ("", PORTS[1]):
        zones = Zones()
        zones.take_row(row(), 0.0)
        zones.take_row(row(port=port), 0.0)
        assert report(zones, answer(7, 7)) == [Chore(AT)]
        assert (zones.emptied(Chore(AT)) is None) == (port == "")


def test_an_interface_that_loses_its_ofport_for_a_while_keeps_its_zone() -> None:
    zones = Zones()
    zones.take_row(row(), 0.0)
    zones.take_row(row(ofport=None), 0.0)
    assert report(zones, answer(7, 7)) == []
    zones.take_row(row(), 0.0)
    assert zones.may_claim(row())
    zones.take_row(row(ofport=AT + 1), 0.0)
    assert report(zones, answer(8, 8)) == [Chore(AT)]


def test_an_interface_moved_to_another_bridge_leaves_its_zone() -> None:
    zones = Zones()
    zones.take_row(row(), 0.0)
    zones.take_row(row(foreign=True), 0.0)
    assert report(zones, answer(7, 7)) == [Chore(AT)]


def test_a_port_that_left_is_cleaned_once_after_its_flows_are_gone() -> None:
    zones = Zones()
    zones.take_row(row(), 0.0)
    zones.take_row(row("b", PORTS[1], AT + 1), 0.0)
    zones.want(state(9, PORTS[0]))
    assert report(zones, answer(9, 8)) == []
    assert report(zones, answer(9, 9)) == [Chore(AT, PORTS[0])]
    assert zones.emptied(Chore(AT, PORTS[0])) is None
    assert report(zones, answer(10, 10)) == []
    zones.want(state(11))
    zones.want(state(12, PORTS[0]))
    assert report(zones, answer(12, 12)) == [Chore(AT, PORTS[0])], "it came back and left again"


# --- without a record -----------------------------------------------------------------------------


def test_without_a_record_what_the_controller_knows_goes_on() -> None:
    zones = Zones(complete=False, asks=True)
    zones.take_row(row(), 0.0)
    zones.sending(0.0)
    assert zones.phase == "asking"
    assert zones.may_claim(row())
    zones.answered(answer(), 0.0)
    assert zones.phase == "certain"
    assert zones.due(0.0) == []
    assert zones.take_written() == {AT: Use(PORTS[0], "uuid-a")}


def test_without_a_record_what_has_changed_is_emptied_before_anything_is_reported() -> None:
    zones = Zones(complete=False, asks=True)
    zones.take_row(row(), 0.0)
    zones.take_row(row("b", PORTS[1], AT + 1), 0.0)
    assert report(zones, answer(full_report_needed=True)) == []
    assert zones.phase == "asking", "the agent may just not know all yet"
    chores = report(zones, answer(full_report_needed=True), ASKING_S)
    assert chores == [Chore(AT), Chore(AT + 1)]
    assert zones.is_hurrying(1e9)
    assert zones.may_claim(row()), "the link stays; nothing is reported meanwhile"
    for chore in chores:
        assert zones.take_written() in ({}, {AT: Use(PORTS[0], "uuid-a")})
        zones.emptied(chore)
    assert not zones.is_hurrying(0.0)
    assert zones.phase == "certain"


def test_what_came_while_the_controller_was_asked_was_not_asked_about() -> None:
    zones = Zones(complete=False, asks=True)
    zones.take_row(row(), 0.0)
    zones.sending(0.0)
    zones.take_row(row("b", PORTS[1], AT + 1), 0.0)
    zones.answered(answer(), 0.0)
    assert zones.due(0.0) == [Chore(AT + 1)]


def test_without_a_record_and_ports_nobody_is_asked_and_zones_are_emptied_at_first_use() -> None:
    zones = Zones(complete=False, asks=True)
    zones.sending(0.0)
    assert zones.phase == "certain"
    zones.take_row(row(), 0.0)
    assert zones.due(0.0) == [Chore(AT)]
    assert zones.nothing_tracked() == ["uuid-a"]
    zones.take_row(row("b", PORTS[1], AT + 1), 0.0)
    assert zones.due(0.0) == []


# --- the record -----------------------------------------------------------------------------------


def test_a_record_is_read_as_it_was_written() -> None:
    uses = {5: Use(PORTS[0], "uuid-a"), 6: None}
    text = zone_record.write(HEADER, uses)
    assert zone_record.read(text) == (HEADER, uses)
    more = zone_record.lines({5: None, 7: Use(PORTS[1], "uuid-b")})
    assert zone_record.read(text + more) == (
        HEADER,
        {5: None, 6: None, 7: Use(PORTS[1], "uuid-b")},
    )


def test_a_last_line_that_is_not_whole_does_not_count_and_garbage_is_no_record() -> None:
    text = zone_record.write(HEADER, {5: Use(PORTS[0], "uuid-a")})
    more = zone_record.lines({5: Use(PORTS[1], "uuid-b")})
    for length in range(len(more) - 1):
        found = zone_record.read(text + more[: length + 1])
        assert found == (HEADER, {5: Use(PORTS[0], "uuid-a")})
    for bad in ("", "\n", "{}\n", "[]\n", "null\n", text + "zebra\n", text + "5 port-x u\n"):
        assert zone_record.read(bad) is None


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    zone_record.read(text)
    zone_record.read(zone_record.write(HEADER, {}) + text)


# --- any order ------------------------------------------------------------------------------------


@dataclass
class World:
    """A host with its switch, conntrack and controller, and an agent that may be killed.

    Attributes:
        entries: zone → ports whose flows have put entries into it.
        flows: ofport → port on the switch now.
        intended: the same in the controller's mind, per revision.
        going_on: zone → interface that has been there ever since it was reported.
        early: zones that were emptied because patience ended, and not since that was too early.
    """

    zones: Zones = field(default_factory=Zones)
    record: str = zone_record.write(HEADER, {})
    plugged: dict[str, InterfaceRow] = field(default_factory=dict)
    entries: dict[int, set[str]] = field(default_factory=dict)
    flows: dict[int, str] = field(default_factory=dict)
    intended: list[dict[int, str]] = field(default_factory=lambda: [{}])
    going_on: dict[int, str] = field(default_factory=dict)
    reached: int = 0
    early: set[int] = field(default_factory=set)

    def _left(self, name: str) -> None:
        uuid = f"uuid-{name}"
        self.going_on = {at: one for at, one in self.going_on.items() if one != uuid}

    def plug(self, name: str, port: str, ofport: int) -> None:
        if name in self.plugged or any(one.ofport == ofport for one in self.plugged.values()):
            return
        self.plugged[name] = row(name, port, ofport)
        self.zones.take_row(self.plugged[name], 0.0)
        self.save()

    def unplug(self, name: str) -> None:
        if self.plugged.pop(name, None) is not None:
            self._left(name)
            self.zones.forget_row(f"uuid-{name}", 0.0)
            self.save()

    def rename(self, name: str, port: str) -> None:
        before = self.plugged.get(name)
        if before is not None and before.external_ids["iface-id"] != port:
            self._left(name)
            self.plugged[name] = row(name, port, before.ofport)
            self.zones.take_row(self.plugged[name], 0.0)
            self.save()

    def save(self) -> None:
        self.record += zone_record.lines(self.zones.take_written())

    def restart(self) -> None:
        found = zone_record.read(self.record)
        assert found is not None
        self.zones = Zones(found[1], complete=found[0].complete)
        for one in self.plugged.values():
            self.zones.take_row(one, 0.0)
        self.zones.finish_reading(0.0)
        self.save()

    def report(self) -> None:
        claims = [one for one in self.plugged.values() if self.zones.may_claim(one)]
        told = {one.ofport or 0: one.external_ids["iface-id"] for one in claims}
        for one in claims:
            self.going_on.setdefault(one.ofport or 0, one.uuid)
        self.zones.sending(0.0)
        if told != self.intended[-1]:
            self.intended.append(told)
        self.zones.answered(answer(len(self.intended) - 1, self.reached), 0.0)
        self.save()

    def confirm(self) -> None:
        """Let the switch take the next revision."""
        if self.reached + 1 < len(self.intended):
            self.reached += 1
            self.flows = self.intended[self.reached]
            for zone, port in self.flows.items():
                inherits = self.entries.get(zone, set()) - {port}
                assert zone in self.early or not inherits, "a port has inherited entries"

    def talk(self) -> None:
        for zone, port in self.flows.items():
            self.entries.setdefault(zone, set()).add(port)

    def work(self, *, killed: bool, late: bool) -> None:
        for chore in self.zones.due(PATIENCE_S if late else 0.0):
            lost = chore.zone in self.going_on and chore.zone not in self.early
            assert not lost, "a running connection has lost its entry"
            self.entries.pop(chore.zone, None)
            if late:
                self.early.add(chore.zone)
            if killed:
                self.restart()
                return
            self.zones.emptied(chore)
            recorded = self.zones.recorded()
            self.early = {zone for zone in self.early if recorded.get(zone) == ANYBODY}
            self.save()


NAMES, OFPORTS, SOME = st.sampled_from("ab"), st.integers(5, 6), st.sampled_from(PORTS[:2])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("plug"), NAMES, SOME, OFPORTS),
        st.tuples(st.just("unplug"), NAMES),
        st.tuples(st.just("rename"), NAMES, SOME),
        st.tuples(st.sampled_from(["report", "confirm"])),
        st.tuples(st.sampled_from(["report", "confirm", "restart"])),
        st.tuples(st.just("work"), *[st.sampled_from([False, False, True])] * 2),
    ),
    min_size=30,
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(steps=STEPS)
def test_no_port_inherits_an_entry_and_none_is_lost_in_any_order(steps) -> None:
    world = World()
    for name, *arguments in steps:
        if name == "work":
            world.work(killed=arguments[0], late=arguments[1])
        else:
            getattr(world, name)(*arguments)
        world.talk()
    while world.reached + 1 < len(world.intended):
        world.confirm()
    for _ in range(6):  # all comes to rest: who is plugged is reported, other zones are empty
        world.report()
        world.confirm()
        world.confirm()
        world.work(killed=False, late=False)
    plugged = {one.ofport: one.external_ids["iface-id"] for one in world.plugged.values()}
    assert world.intended[-1] == plugged
    world.talk()
    assert world.entries == {zone: {port} for zone, port in plugged.items()}


# --- what is reported -----------------------------------------------------------------------------


def test_a_link_has_no_ofport_before_its_zone_is_its_own() -> None:
    host = Host("netdev", problems=dict, clock=lambda: 0.0)
    host.take_row(row())
    host.forget_row("uuid-a")
    assert host.take_row(row("b", PORTS[1])) == "soon"
    assert [(link.port_id, link.ofport) for link in host.links()] == [(PORTS[1], None)]
    report(host.zones, answer(3, 3))
    assert host.zones.emptied(Chore(AT)) == "uuid-b"
    assert host.take_again("uuid-b")
    assert [(link.port_id, link.ofport) for link in host.links()] == [(PORTS[1], AT)]
    assert not host.take_again("uuid-b")
