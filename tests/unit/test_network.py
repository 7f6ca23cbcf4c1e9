"""The network holds what it cannot use yet, and nobody owns what two claim."""

import dataclasses
import sys
import tracemalloc

import pytest

from tests.support.networks import at, batch, gone, host, ip, network, pair, port, put, subnet, vpc
from vpcctl.model.addresses import eui64_mac, link_local
from vpcctl.model.claims import Claims
from vpcctl.model.network import Network

HOST, VPC = host(1), vpc(1)
SUBNET = subnet(1, VPC, "10.0.1.0/24")
PORT = port(1, SUBNET, "0e:00:00:00:00:01", "10.0.1.10")
PLACE = at(PORT, HOST, 10)


def test_claims_have_an_owner_only_when_alone() -> None:
    claims: Claims[int] = Claims()
    claims.add(1, "a")
    claims.add(1, "a")
    assert claims.owner(1) == "a"
    claims.add(1, "b")
    assert claims.owner(1) is None
    assert claims.of(1) == ("a", "b")
    claims.drop(1, "a")
    assert claims.owner(1) == "b"
    claims.drop(1, "b")
    claims.drop(1, "b")
    assert claims.of(1) == ()
    assert not len(claims)


def test_a_port_is_in_service_once_all_it_needs_is_there() -> None:
    net = Network()
    for resource in (PLACE, PORT, SUBNET, HOST, VPC):
        net.apply_one(put(resource))
    assert net.located(PORT.id) == (PORT, PLACE, HOST)
    assert net.live_subnet(SUBNET.id) == (SUBNET, VPC)
    assert net.vpcs_at(HOST.id) == {VPC.id}
    assert net.hosts_of(VPC.id) == {HOST.id}


def test_what_lacks_a_referent_is_held() -> None:
    net = network(HOST, VPC, SUBNET, PORT, PLACE)
    net.apply([gone(HOST)])
    assert net.located(PORT.id) is None
    assert net.hosts_of(VPC.id) == set()
    net.apply([put(HOST), gone(SUBNET)])
    assert net.live_subnet(SUBNET.id) is None
    assert net.vpcs_at(HOST.id) == set()


def test_two_ports_at_one_interface_are_both_out_of_service() -> None:
    other = port(2, SUBNET, "0e:00:00:00:00:02", "10.0.1.11")
    net = network(HOST, VPC, SUBNET, PORT, PLACE, other, at(other, HOST, 10))
    assert net.located(PORT.id) is None
    assert net.located(other.id) is None
    net.apply([gone(at(other, HOST, 10))])
    assert net.located(PORT.id) is not None


def test_a_port_at_the_tunnels_interface_is_out_of_service() -> None:
    net = network(HOST, VPC, SUBNET, PORT, at(PORT, HOST, 1))
    assert net.located(PORT.id) is None


def test_a_port_that_moves_leaves_no_trace() -> None:
    other = host(2)
    net = network(HOST, other, VPC, SUBNET, PORT, PLACE)
    net.apply(batch(put(at(PORT, other, 11)), revision=7))
    assert net.revision == 7
    assert net.hosts_of(VPC.id) == {other.id}
    assert HOST.id not in net.subnets_at
    assert HOST.id not in net.ofports


def test_indexes_follow_changed_addresses_and_pairs() -> None:
    net = network(HOST, VPC, SUBNET, PORT, PLACE)
    paired = dataclasses.replace(
        PORT,
        ips=(ip("10.0.1.20"),),
        allowed_pairs=(pair("10.0.1.99/32"), pair("10.0.1.98/32", "0e:00:00:00:00:63")),
    )
    net.apply([put(paired)])
    segment = net.segments[SUBNET.id]
    assert segment.ipv4.of(int(ip("10.0.1.10"))) == ()
    assert segment.ipv4.owner(int(ip("10.0.1.20"))) == PORT.id
    assert set(segment.pairs) == {ip("10.0.1.99"), ip("10.0.1.98")}
    assert set(segment.pair_macs) == {0x0E0000000063}
    net.apply([gone(paired)])
    assert net.segments == {}


def test_link_local_addresses_lead_back_to_macs() -> None:
    assert eui64_mac(link_local(0x0E0000000001)) == 0x0E0000000001
    assert eui64_mac(ip("fe80::77")) == 0
    assert eui64_mac(ip("fd00::c00:ff:fe00:1")) == 0
    assert eui64_mac(ip("10.0.0.1")) == 0


@pytest.mark.slow
def test_a_port_costs_less_than_two_kibibytes() -> None:
    count = 5000
    owner = subnet(1, VPC, "10.0.0.0/16", "fd00:1::/64")
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    net = network(HOST, VPC, owner)
    for number in range(1, count + 1):
        low, high = number & 0xFF, number >> 8
        one = port(
            number,
            owner,
            f"0e:00:00:00:{high:02x}:{low:02x}",
            *(f"10.0.{high}.{low}", f"fd00:1::{number:x}"),
        )
        net.apply([put(one), put(at(one, HOST, 100 + number))])
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert used / count < 2048
    assert sys.getsizeof(net) < 1024
