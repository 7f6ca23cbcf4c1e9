"""A host that boots says that nobody is to rely on it, until its flows are there."""

import signal

from tests.hosts.conftest import AgentHost, Make
from tests.hosts.watching import bfd, confirm, is_up, watch
from tests.support.waiting import wait_until


def test_a_host_that_had_no_power_is_not_relied_on_before_its_flows_are_there(
    make_hosts: Make,
) -> None:
    """Nobody has seen its ovs-vswitchd end, so the machine says so before it starts the next."""
    returns, other = make_hosts(2)
    for agent in (returns, other):
        agent.start()
    watch(returns, other)
    watch(other, returns)
    for agent in (returns, other):
        confirm(agent)
    wait_until(lambda: is_up(returns) and is_up(other), what="both live")
    done = returns.once("hold-back")
    assert (done.returncode, "runs" in done.stdout) == (0, True), done
    assert "cpath_down" not in returns.host.vsctl("--columns=bfd", "list", "interface")
    returns.stop(signal.SIGKILL)
    returns.host.stop_process("ovs-vswitchd", signal.SIGKILL)
    wait_until(lambda: not is_up(other))
    done = returns.once("hold-back")
    assert (done.returncode, done.stdout[:2]) == (0, "1 "), done
    heard = len(other.controller.reports)
    (returns.state_dir / "program").unlink(missing_ok=True)
    returns.host.start_vswitchd()
    wait_until(lambda: bfd(other, returns, "state") == "up", what="BFD")
    assert bfd(other, returns, "forwarding") == "false"
    returns.start()
    assert bfd(other, returns, "forwarding") == "false"
    told = [report.facts for _, report in other.controller.reports[heard:]]
    assert not any(each.up for facts in told if facts for each in facts.watches)
    confirm(returns)
    wait_until(lambda: is_up(other), what="a host with flows")


def test_who_cannot_be_held_back_says_why(agent: AgentHost) -> None:
    agent.options = {"ovsdb": "unix:/nowhere/db.sock", "ovs-rundir": "/nowhere"}
    done = agent.once("hold-back")
    assert (done.returncode, "/nowhere/db.sock" in done.stderr) == (1, True), done
