"""A cloud as on several machines: everything off the controller's own speaks TLS."""

import json
import signal
import socket
import ssl
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import httpx
import pytest

from tests.e2e.cloud import Guest, Pinger, TlsCloud, make_cloud
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.slow]

LIFE_S = 15
"""The shortest life of a host's certificate that the controller takes."""
HELLO = bytes.fromhex("0500000800000001")


@pytest.fixture(scope="module")
def cloud() -> Iterator[TlsCloud]:
    with make_cloud(2, tls=True) as made:
        yield cast(TlsCloud, made)


def _pair(cloud: TlsCloud, cidr: str) -> tuple[Guest, Guest]:
    vpc = cloud.post("vpcs", cidrs=[cidr], tenant_id="tls")
    subnet = cloud.subnet(vpc, cloud.admin, cidr=cidr)
    return cloud.guest(0, subnet), cloud.guest(1, subnet)


def _credentials(cloud: TlsCloud, at: int) -> Path:
    return cloud.directory / f"agent-{at}" / "pki" / "current"


def _context(cloud: TlsCloud, at: int | None = None) -> ssl.SSLContext:
    """Return a client's context, with the certificate of host *at* if one is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cloud.directory / "ca.pem")
    if at is not None:
        here = _credentials(cloud, at)
        context.load_cert_chain(here / "cert.pem", here / "key.pem")
    return context


def _hears_nothing(connection: socket.socket) -> bool:
    """Say hello as a switch; tell whether the other side ends it without an answer of its own."""
    try:
        connection.sendall(HELLO)
        return connection.recv(64) == b""
    except OSError as error:
        return not isinstance(error, TimeoutError)


def _serials(cloud: TlsCloud, at: int) -> set[str]:
    listed = cloud.get(f"hosts/{cloud.host_ids[at]}/certificates")["items"]
    return {each["serial"] for each in listed}


def test_hosts_that_enrolled_carry_traffic(cloud: TlsCloud) -> None:
    one, two = _pair(cloud, "10.70.0.0/24")
    one.reaches(two.ipv4)
    target = cloud.hosts[0].vsctl("get", "controller", "br-int", "target")
    assert target == f'"ssl:{cloud.gateway}:{cloud.openflow_port}"'
    assert len(json.loads(cloud.as_admin("host", "list", "--output", "json"))) == 2


def test_what_is_secret_is_its_owners_alone(cloud: TlsCloud) -> None:
    agent = cloud.directory / "agent-0"
    files = [agent / "token", _credentials(cloud, 0) / "key.pem"]
    files += [cloud.directory / "state" / "admin.token"]
    files += (cloud.directory / "state" / "pki").rglob("key.pem")
    assert len(files) == 5
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((cloud.directory / "state" / "pki").stat().st_mode) == 0o700


def test_plain_text_and_strangers_are_refused(cloud: TlsCloud) -> None:
    openflow = (cloud.gateway, cloud.openflow_port)
    with socket.create_connection(openflow, timeout=15) as plain:
        assert _hears_nothing(plain)
    with (
        socket.create_connection(openflow, timeout=15) as raw,
        _context(cloud).wrap_socket(raw, server_hostname=cloud.gateway) as nobody,
    ):
        assert _hears_nothing(nobody)
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://{cloud.gateway}:{cloud.api_port}/v1/vpcs", timeout=15)
    # A host's token without its certificate is nobody's.
    token = (cloud.directory / "agent-0" / "token").read_text().strip()
    answer = httpx.get(
        f"{cloud.url}/v1/hosts/{cloud.host_ids[0]}/state?after=0&timeout=0",
        headers={"Authorization": f"Bearer {token}"},
        verify=_context(cloud),
    )
    assert answer.status_code == 401, answer.text


def test_a_host_cannot_speak_as_another_ones_switch(cloud: TlsCloud) -> None:
    host, spare = cloud.hosts[0], f"sp{cloud.tag}"
    dpid = cloud.host(1)["dpid"].removeprefix("0x")
    target = f"ssl:{cloud.gateway}:{cloud.openflow_port}"
    host.vsctl(
        *("add-br", spare, "--", "set", "bridge", spare, "datapath_type=netdev"),
        *("fail_mode=secure", f"other-config:datapath-id={dpid}"),
        *("--", "set-controller", spare, target),
        *("--", "set", "controller", spare, "connection-mode=out-of-band"),
    )
    try:
        wait_until(
            lambda: "certificate of" in (cloud.directory / "controller.log").read_text(),
            what=f"the refusal is logged: {cloud.logs()}",
        )
        assert host.ofctl("dump-flows", spare).count("table=") == 0
        cloud.in_sync(1)
    finally:
        host.vsctl("del-br", spare)


def test_certificates_are_renewed_while_traffic_flows(cloud: TlsCloud) -> None:
    one, two = _pair(cloud, "10.71.0.0/24")
    one.reaches(two.ipv4)
    first = _serials(cloud, 1)
    shown = cloud.as_admin("host", "certificates", cloud.host_ids[1], "--output", "json")
    assert {each["serial"] for each in json.loads(shown)} == first
    pinger = Pinger(one, two.ipv4)
    cloud.stop("controller")
    cloud.environment["VPCCTL_HOST_CERTIFICATE_LIFE_S"] = str(LIFE_S)
    cloud.start_controller()
    # The agent asks for the short-lived one now; from then on it has to renew all the time.
    cloud.stop("agent-1", signal.SIGKILL)
    cloud.admit(1)
    cloud.start_agent(1)
    cloud.in_sync(1)
    started, seen = time.monotonic(), set[str]()

    def has_renewed() -> bool:
        seen.update(_serials(cloud, 1) - first)
        assert cloud.host(1)["state"] == "up"
        return len(seen) > 2 and time.monotonic() - started > LIFE_S

    wait_until(has_renewed, 3 * LIFE_S, "it has renewed twice, and the first one has run out")
    del cloud.environment["VPCCTL_HOST_CERTIFICATE_LIFE_S"]
    cloud.in_sync(1)
    _, lost = pinger.stop()
    assert lost == 0
    # What OVS shows now is not what it showed at the start: that has run out.
    shown = cloud.hosts[1].vsctl("get", "ssl", ".", "certificate")
    assert Path(shown.strip('"')).exists()
    assert cloud.guest(1, cloud.get(f"subnets/{two.port['subnet_id']}"))


def test_a_revoked_host_is_dropped_and_its_flows_stay(cloud: TlsCloud) -> None:
    one, two = _pair(cloud, "10.72.0.0/24")
    one.reaches(two.ipv4)
    before = cloud.flows(0)
    cloud.as_admin("host", "revoke", cloud.host_ids[0])
    wait_until(lambda: cloud.host(0)["connection"] == "disconnected", 10, "the switch is dropped")
    wait_until(lambda: cloud.host(0)["state"] != "up", 20, "its reports are refused")
    assert cloud.flows(0) == before
    assert one.pings(two.ipv4)
    cloud.stop("agent-0")
    cloud.admit(0)
    cloud.start_agent(0)
    cloud.in_sync(0)
    assert cloud.flows(0) == before
