"""The agent's copy of OVSDB, beside a real ovsdb-server."""

import threading

from agent.ovsdb import Change, Ovsdb
from tests.hosts.conftest import AgentHost


def test_who_is_told_of_a_change_finds_it(agent: AgentHost) -> None:
    """The agent asks for bridges when it is told that there are some; it is not told twice."""
    agent.host.vsctl("add-br", "br-other")
    found: list[tuple[Change, set[str]]] = []
    told = threading.Event()

    def hear(change: Change) -> None:
        found.append((change, set(ovsdb.bridges())))
        told.set()

    ovsdb = Ovsdb(f"unix:{agent.host.directory}/db.sock", "br-int", hear)
    ovsdb.start()
    try:
        assert told.wait(10)
    finally:
        ovsdb.stop()
    change, bridges = found[0]
    assert change.connected
    assert change.everything
    assert "br-other" in bridges
    assert "br-other" in {row.name for row in change.interfaces}
