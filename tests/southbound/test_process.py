"""The southbound as a process of its own, on a real database, with a real switch."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.southbound.ovs import Ovs
from vpcctl.services.facade import Services
from vpcctl.services.views import Actor, HostCreate, PortCreate, SubnetCreate, VpcCreate
from vpcctl.store.database import Database
from vpcctl.store.wake import Waker
from vpcctl.wire.report import HostFacts, Link, LinkReport, digest

ADMIN = Actor("admin")
CHILD = """
import json, sys
from pathlib import Path
from vpcctl.southbound.main import SouthboundConfig, run

def ready(addresses):
    hanging = [name for name in sys.modules if name.partition(".")[0] == "eventlet"]
    print(json.dumps({"addresses": addresses, "hanging": hanging}), flush=True)

url, directory = sys.argv[1:3]
run(SouthboundConfig(url, Path(directory), listen=("tcp:127.0.0.1:0",)), ready)
"""


def until(condition: Callable[[], object], what: str, timeout: float = 10.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.005)


def start(url: str, directory: Path) -> tuple[subprocess.Popen[str], dict]:
    child = subprocess.Popen(
        (sys.executable, "-c", CHILD, url, str(directory)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("{"):
            return child, json.loads(line)
    raise RuntimeError("the southbound did not start")


def listening(pid: int) -> set[int]:
    """TCP ports that a process listens on."""
    sockets = {
        os.readlink(f"/proc/{pid}/fd/{fd}")[8:-1]
        for fd in os.listdir(f"/proc/{pid}/fd")
        if os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")
    }
    found = set()
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            parts = line.split()
            if parts[3] == "0A" and parts[9] in sockets:
                found.add(int(parts[1].rpartition(":")[2], 16))
    return found


def report(port_id: str, ofport: int, sequence: int) -> LinkReport:
    facts = HostFacts(
        vtep_address="192.0.2.1", datapath_type="netdev", nd_extensions=False, tunnel_ofport=1
    )
    links = (Link(port_id=port_id, ofport=ofport, interface_uuid="u1", interface="tap1"),)
    return LinkReport(
        agent_id="a" * 32,
        boot=1,
        sequence=sequence,
        digest=digest(facts, links),
        state_revision=0,
        facts=facts,
        links=links,
    )


@pytest.mark.ovs
def test_the_process_programs_a_switch_from_the_database(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/vpcctl.db")
    database.upgrade()
    waker = Waker(tmp_path)
    services = Services(database, waker=waker)
    host = services.hosts.create(ADMIN, HostCreate(name="h1"))
    vpc = services.vpcs.create(ADMIN, VpcCreate(cidrs=("10.0.0.0/16",), tenant_id="red"))
    subnet = services.subnets.create(ADMIN, SubnetCreate(vpc_id=vpc.meta.id, cidr="10.0.1.0/24"))
    port = services.ports.create(ADMIN, PortCreate(subnet_id=subnet.meta.id))

    def connection() -> str:
        return services.hosts.get(ADMIN, host.meta.id).connection

    def status() -> str:
        return services.ports.get(ADMIN, port.meta.id).status.state

    child, said = start(f"sqlite:///{tmp_path}/vpcctl.db", tmp_path)
    try:
        assert said["hanging"] == []
        number = int(said["addresses"][0].rpartition(":")[2])
        assert listening(child.pid) == {number}
        with Ovs(tmp_path) as ovs:
            ovs.add_bridge("br", host.dpid, f"tcp:127.0.0.1:{number}")
            until(lambda: connection() == "in_sync", f"in sync, {connection()}")
            for sequence, ofport in enumerate((7, 8, 9), 1):
                services.reports.accept(ADMIN, host.meta.id, report(port.meta.id, ofport, sequence))
                until(lambda: status() == "active", f"active, {status()}", 3)
                assert any(f"output:{ofport}" in flow for flow in ovs.flows("br"))
            child.send_signal(signal.SIGTERM)
            assert child.wait(3) == 0
            assert ovs.flows("br")
    finally:
        child.kill()
        child.wait()
        waker.close()
        database.close()
