"""Where flows cannot answer for an IPv6 gateway, its host's agent does."""

import dataclasses
from collections.abc import Iterator

import pytest

from tests.oracle.oracle import ROUTER_MAC, text
from tests.support import packets
from tests.support.dummy_ovs import DummyOvs
from tests.support.networks import put
from tests.support.showcase import HOST_2, WEB_1, WEB_3, showcase
from tests.support.tracing import Fabric
from vpcctl.model.host import GUEST_SERVICE_OFPORT

pytestmark = pytest.mark.ovs
MAC, BY_KEY = text(WEB_3.mac), "0e:76:00:00:01:03"


@pytest.fixture(scope="module")
def plain(ovs: DummyOvs) -> Iterator[Fabric]:
    """A datapath that cannot rewrite the options of neighbour discovery."""
    net = showcase()
    net.apply([put(dataclasses.replace(HOST_2, nd_extensions=False))])
    fabric = Fabric(ovs, net, "plain")
    yield fabric
    fabric.close()


def test_a_question_for_the_gateway_reaches_the_agent_with_the_asking_ports_key(
    plain: Fabric,
) -> None:
    (seen,) = plain.inject(HOST_2.id, 11, packets.solicit(MAC, "fd00:1::12", "fd00:1::1"))
    assert seen.ofport == GUEST_SERVICE_OFPORT
    assert (seen["eth_src"], seen["eth_dst"]) == (MAC, BY_KEY)


def test_a_spoofed_question_does_not(plain: Fabric) -> None:
    assert not plain.inject(HOST_2.id, 11, packets.solicit(MAC, "fd00:1::99", "fd00:1::1"))


def test_the_agents_answer_comes_from_the_gateway(plain: Fabric) -> None:
    answer = packets.advertise((BY_KEY, MAC), ("fd00:1::1", "fd00:1::12"), "fd00:1::1", ROUTER_MAC)
    (seen,) = plain.inject(HOST_2.id, GUEST_SERVICE_OFPORT, answer)
    assert seen.ofport == 11
    assert (seen["eth_src"], seen["eth_dst"]) == (ROUTER_MAC, MAC)


def test_the_agent_reaches_no_port_of_another_host(plain: Fabric) -> None:
    elsewhere = f"0e:76:00:00:{WEB_1.key >> 8:02x}:{WEB_1.key & 255:02x}"
    ends = (elsewhere, text(WEB_1.mac))
    answer = packets.advertise(ends, ("fd00:1::1", "fd00:1::10"), "fd00:1::1", ROUTER_MAC)
    assert not plain.inject(HOST_2.id, GUEST_SERVICE_OFPORT, answer)


def test_a_guest_cannot_speak_as_the_agent(plain: Fabric) -> None:
    answer = packets.advertise((BY_KEY, MAC), ("fd00:1::1", "fd00:1::12"), "fd00:1::1", ROUTER_MAC)
    assert not plain.inject(HOST_2.id, 12, answer)
