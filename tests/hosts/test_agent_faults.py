"""Restarts and faults around the agent: nothing attached is lost, and all converge."""

import contextlib
import json
import signal
import subprocess

from agent.decide import marks
from tests.hosts.conftest import AgentHost
from tests.support.controller import attachment, port_id
from tests.support.hosts import command
from tests.support.outside import NETWORK, network
from tests.support.waiting import wait_until
from vpcctl.wire.state import Watched

INSIDE = marks.patch_inside(NETWORK)


def _attached(agent: AgentHost) -> None:
    agent.controller.attach(
        attachment(2, "red", "10.0.0.2/24"), attachment(3, "blue", "10.0.0.3/24")
    )
    wait_until(lambda: agent.controller.has_port(port_id(2)))
    wait_until(lambda: agent.controller.has_port(port_id(3)))


def _ping(agent: AgentHost, count: int = 200) -> subprocess.Popen[str]:
    """Ping from one guest to the other every 10 ms, over two flows."""
    ofports = [agent.controller.link(port_id(at)).ofport for at in (2, 3)]  # type: ignore[union-attr]
    for here, there in (ofports, ofports[::-1]):
        agent.host.ofctl("add-flow", "br-int", f"in_port={here},actions=output:{there}")
    return subprocess.Popen(
        [
            *("nsenter", f"--net={agent.netns_dir / 'red'}"),
            *("ping", "-q", "-i0.01", f"-c{count}", "-W1", "10.0.0.3"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_restarts_of_agent_and_controller_lose_no_packet(running: AgentHost) -> None:
    _attached(running)
    ping = _ping(running)
    before = running.controller.reports[-1][1]
    assert running.stop() == 0
    running.controller.answer = (503, b"away")
    running.start(wait=False)
    wait_until(lambda: running.log.read_text().count("datapath:") == 2)
    wait_until(lambda: running.log.read_text().count("host state at revision") >= 2)
    running.controller.answer = None
    wait_until(lambda: running.controller.reports[-1][1].boot > before.boot)
    out, _ = ping.communicate(timeout=20)
    assert "200 received, 0% packet loss" in out
    assert running.controller.has_port(port_id(2))


def test_restart_with_the_controller_away_keeps_everything(running: AgentHost) -> None:
    _attached(running)
    wait_until(lambda: _saved_revision(running) == running.controller.state.revision)
    running.stop(signal.SIGKILL)
    running.controller.answer = (500, b"oops")
    running.start(wait=False)
    wait_until(lambda: running.log.read_text().count("ovs-vswitchd runs") == 2)
    _lose_namespace(running, "red")
    wait_until(lambda: running.namespaces() == ["blue", "red"], what="made from the saved state")


def _lose_namespace(agent: AgentHost, name: str) -> None:
    command("umount", "-l", str(agent.netns_dir / name))
    with contextlib.suppress(OSError):  # the agent may have been faster
        (agent.netns_dir / name).unlink()


def _saved_revision(agent: AgentHost) -> int:
    path = agent.state_dir / "host_state.json"
    return json.loads(path.read_text())["revision"] if path.exists() else 0


def test_without_any_state_nothing_is_removed(running: AgentHost) -> None:
    _attached(running)
    running.stop()
    (running.state_dir / "host_state.json").write_text("{ not json")
    (running.state_dir / "boot").write_text("zebra")
    running.controller.answer = (200, b"]]garbage")
    running.start(wait=False)
    wait_until(lambda: running.log.read_text().count("unreadable") >= 2)
    assert running.namespaces() == ["blue", "red"]
    assert len(running.devices()) == 2
    running.controller.answer = None
    wait_until(lambda: _saved_revision_or_zero(running) == running.controller.state.revision)
    assert running.namespaces() == ["blue", "red"]


def _saved_revision_or_zero(agent: AgentHost) -> int:
    try:
        return _saved_revision(agent)
    except ValueError:
        return 0


def test_a_state_on_disk_that_is_older_than_what_is_there_removes_nothing(
    agent: AgentHost,
) -> None:
    agent.host.vsctl("add-br", "br-ex", "--", "set", "bridge", "br-ex", "datapath_type=netdev")
    agent.options = {"providers": "public=br-ex"}
    agent.start()
    red, blue = attachment(2, "red", "10.0.0.2/24"), attachment(3, "blue", "10.0.0.3/24")
    agent.controller.attach(red)
    wait_until(lambda: _saved_revision(agent) == agent.controller.state.revision)
    older = (agent.state_dir / "host_state.json").read_text()
    words = ("add-port", "br-int", "given", "--", "set", "interface", "given", "type=internal")
    agent.host.vsctl(*words)
    named = {"kind": "interface", "interface": "given", "netns": None}
    given = attachment(4, "none").model_copy(update=named)
    far = Watched(host_id="host-00000000000000009", vtep_address="192.0.2.99")
    agent.controller.set(
        attachments=(red, blue, given), external_networks=(network(),), watched=(far,)
    )
    for number in (3, 4):
        wait_until(lambda number=number: agent.controller.has_port(port_id(number)))
    wait_until(lambda: agent.controller.facts.outside and agent.controller.facts.watches)
    agent.stop(signal.SIGKILL)
    (agent.state_dir / "host_state.json").write_text(older)
    before = _interfaces(agent)
    agent.controller.answer = (503, b"away")
    agent.start(wait=False)
    wait_until(lambda: agent.log.read_text().count("ovs-vswitchd runs") == 2)
    # What would be removed goes after what is to be made.
    _lose_namespace(agent, "red")
    wait_until(lambda: agent.namespaces() == ["blue", "red"], what="made from the saved state")
    agent.host.vsctl("set", "interface", "given", "external_ids:looked=at")
    agent.once("status")
    assert _interfaces(agent).keys() >= before.keys() - {marks.host_end(port_id(2))}
    assert _interfaces(agent)["given"] == before["given"]
    agent.controller.set(attachments=(red,), external_networks=(), watched=())
    agent.controller.answer = None
    wait_until(lambda: not _interfaces(agent).keys() & {marks.host_end(port_id(3)), INSIDE})
    wait_until(lambda: not agent.controller.facts.watches)
    wait_until(lambda: _interfaces(agent)["given"] == "", what="an interface that is nobody's")


def _interfaces(agent: AgentHost) -> dict[str, str]:
    """The interfaces of the host's Open vSwitch and their iface-ids, by name."""
    shown = agent.host.vsctl("--format=json", "--columns=name,external_ids", "list", "interface")
    return {name: dict(ids[1]).get("iface-id", "") for name, ids in json.loads(shown)["data"]}


def test_faulty_controller_is_tried_until_it_answers(running: AgentHost) -> None:
    for fault in ((500, b""), (401, b"who?"), (200, b"{}"), (302, b""), (204, b"")):
        running.controller.answer = fault
        seen = running.log.read_text().count("/reports: ")
        running.controller.set()
        wait_until(
            lambda seen=seen: running.log.read_text().count("report") > seen, what=str(fault)
        )
    running.controller.answer = None
    running.controller.attach(attachment(2, "red", "10.0.0.2/24"))
    wait_until(lambda: running.controller.has_port(port_id(2)))


def test_late_answers_keep_one_report_in_flight(running: AgentHost) -> None:
    running.controller.delay_s = 0.3
    for at in range(3):
        running.host.vsctl(
            "add-port",
            "br-int",
            f"i{at}",
            "--",
            "set",
            "interface",
            f"i{at}",
            "type=internal",
            f"external_ids:iface-id={port_id(at + 1)}",
        )
    wait_until(lambda: all(running.controller.has_port(port_id(at + 1)) for at in range(3)))
    order = [report.sequence for _, report in running.controller.reports]
    assert order == sorted(order)


def test_controller_restored_from_an_older_copy_is_followed(running: AgentHost) -> None:
    running.controller.set(revision=1000)
    wait_until(lambda: running.controller.reports[-1][1].state_revision == 1000)
    running.controller.answer = (503, b"restoring")
    wait_until(lambda: "503 restoring" in running.log.read_text())  # times have a 503, too
    running.controller.state = running.controller.state.model_copy(
        update={"revision": 7, "attachments": (attachment(2, "red", "10.0.0.2/24"),)}
    )
    running.controller.set(revision=8)
    running.controller.answer = None
    wait_until(lambda: running.controller.has_port(port_id(2)))


def test_reports_refused_as_old_get_through(running: AgentHost) -> None:
    boot = running.controller.reports[-1][1].boot
    running.controller._last = (boot + 50, 0)
    wait_until(lambda: running.controller._last > (boot + 50, 0))
    running.stop()
    running.start()


def test_unchanged_reports_are_a_digest(running: AgentHost) -> None:
    _attached(running)
    count = len(running.controller.reports)
    wait_until(lambda: len(running.controller.reports) > count + 2)
    report = running.controller.reports[-1][1]
    assert report.links is None
    assert len(report.model_dump_json(exclude_none=True)) < 400
    running.controller._digest = ""
    count = len(running.controller.reports)
    wait_until(
        lambda: any(each.links for _, each in running.controller.reports[count:]),
        what="the full report asked for",
    )


def test_ovsdb_restart_is_survived(running: AgentHost) -> None:
    _attached(running)
    running.host.stop_process("ovsdb-server")
    wait_until(lambda: any("OVSDB" in text for text in running.controller.facts.errors))
    running.controller.attach(
        *running.controller.state.attachments, attachment(4, "green", "10.0.0.4/24")
    )
    wait_until(lambda: running.controller.link(port_id(4)) is not None)
    assert "does not answer" in (running.controller.link(port_id(4)).error or "")  # type: ignore[union-attr]
    assert running.controller.has_port(port_id(2))
    running.host.start_ovsdb()
    wait_until(lambda: running.controller.has_port(port_id(4)))
    wait_until(running.is_up)
    running.host.vsctl(
        "add-br", "br-other", "--", "set", "bridge", "br-other", "datapath_type=netdev"
    )
    running.host.vsctl(
        "add-port",
        "br-int",
        "i9",
        "--",
        "set",
        "interface",
        "i9",
        "type=internal",
        f"external_ids:iface-id={port_id(9)}",
    )
    wait_until(lambda: running.controller.has_port(port_id(9)), what="events after the restart")


def test_agent_may_start_before_open_vswitch(agent: AgentHost) -> None:
    agent.host.stop_process("ovs-vswitchd")
    agent.host.stop_process("ovsdb-server")
    agent.start(wait=False)
    log = agent.host.directory / "agent.log"
    wait_until(lambda: log.exists() and "datapath: netdev" in log.read_text())
    agent.host.start_ovsdb()
    agent.host.start_vswitchd()
    wait_until(agent.is_up)


def test_what_is_not_known_yet_is_not_reported_as_absent(running: AgentHost) -> None:
    running.controller.attach(attachment(1, "red", "10.0.0.1/24"))
    wait_until(lambda: running.controller.has_port(port_id(1)))
    running.stop()
    seen = len(running.controller.reports)
    running.start()
    wait_until(lambda: len(running.controller.reports) > seen + 1)
    for _, report in running.controller.reports[seen:]:
        if report.links is not None:
            assert [link.port_id for link in report.links] == [port_id(1)]
        if report.facts is not None:
            assert report.facts.tunnel_ofport is not None


def test_full_disk_is_reported_and_survived(agent: AgentHost) -> None:
    tiny = agent.host.directory / "tiny"
    tiny.mkdir()
    command("mount", "-t", "tmpfs", "-o", "size=16k,nr_inodes=8", "tmpfs", str(tiny))
    try:
        (tiny / "filler").write_bytes(b"x" * 16384)
        agent.options["state-dir"] = str(tiny)
        agent.start(wait=False)
        agent.controller.attach(attachment(2, "red", "10.0.0.2/24"))
        wait_until(lambda: agent.controller.has_port(port_id(2)))
        wait_until(lambda: any("No space" in text for text in agent.controller.facts.errors))
        (tiny / "filler").unlink()
        agent.controller.attach()
        wait_until(lambda: not agent.controller.facts.errors)
        agent.stop()
    finally:
        command("umount", "-l", str(tiny))


def test_settings_that_cannot_be_used_are_refused(agent: AgentHost) -> None:
    token = agent.host.directory / "token"
    token.write_text("secret")
    token.chmod(0o644)
    for option, value, text in (
        ("token-file", str(token), "chmod 600"),
        ("vxlan-port", "99999", "vxlan_port"),
        ("host-id", "me", "host id"),
    ):
        agent.options = {option: value}
        done = agent.once("run")
        assert done.returncode == 2
        assert text in done.stderr
