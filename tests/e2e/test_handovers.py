"""A port that gets the address of one that is gone gets none of its connections."""

import socket
from typing import Any

import pytest

from tests.e2e.cloud import Cloud, Guest
from tests.support.waiting import wait_until
from tests.traffic.site import inside

pytestmark = [pytest.mark.root, pytest.mark.slow]

OPEN = [{"direction": "egress"}, {"direction": "ingress"}]


class Talker:
    """A UDP socket of a guest."""

    def __init__(self, guest: Guest, port: int) -> None:
        self.address = (guest.ipv4, port)
        self._socket = inside(guest.netns, lambda: socket.socket(type=socket.SOCK_DGRAM))
        self._socket.bind(self.address)
        self._socket.settimeout(5)

    def __enter__(self) -> "Talker":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def say(self, text: str, to: "Talker") -> None:
        self._socket.sendto(text.encode(), to.address)

    def hears(self) -> tuple[str, str]:
        """Return the next text and the address it comes from."""
        data, (address, _) = self._socket.recvfrom(100)
        return data.decode(), address

    def talks(self, other: "Talker") -> None:
        """Open a connection to *other*, which answers."""
        self.say("question", other)
        assert other.hears() == ("question", self.address[0])
        other.say("answer", self)
        assert self.hears() == ("answer", other.address[0])


class Town:
    """A VPC: a server that keeps connections of clients, and an asker whom nobody may ask."""

    def __init__(self, cloud: Cloud) -> None:
        vpc = cloud.post("vpcs", cidrs=["10.94.0.0/16"], tenant_id="handovers")
        self.cloud, self.vpc_id = cloud, vpc["id"]
        self.subnet = cloud.subnet(vpc, cloud.admin, cidr="10.94.1.0/24")
        self.clients = self.group("clients", OPEN)
        self.others = self.group("others", OPEN)
        remote = {"security_group_id": self.clients["id"]}
        rule = {
            "direction": "ingress",
            "family": "ipv4",
            "protocol": "udp",
            "ports": "80",
            "remote": remote,
        }
        self.servers = self.group("servers", [rule], established="keep")
        self.server = self.guest(1, self.servers)
        self.asker = self.guest(1, self.group("askers", OPEN[:1]))

    def group(self, name: str, rules: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        return self.cloud.post(
            "security-groups", vpc_id=self.vpc_id, name=name, rules=rules, **more
        )

    def guest(self, at: int, group: dict[str, Any], **more: Any) -> Guest:
        return self.cloud.guest(at, self.subnet, security_groups=[group["id"]], **more)

    def close_server(self) -> None:
        """Let nobody in any more but the connections that there are."""
        (rule,) = self.servers["rules"]
        path = f"security-groups/{self.servers['id']}/rules/{rule['id']}"
        self.cloud.delete(f"{path}?wait=realized&timeout=60")

    def knows(self, address: str) -> list[str]:
        """Return the connections of *address* on the host of server and asker."""
        dump = self.cloud.hosts[1].appctl("dpctl/dump-conntrack", "netdev@ovs-netdev")
        return [line for line in dump.splitlines() if f"={address}," in line]


def test_a_successor_at_an_address_inherits_nothing_and_others_lose_nothing(cloud: Cloud) -> None:
    town = Town(cloud)
    old, still = town.guest(0, town.clients), town.guest(0, town.clients)
    mover = cloud.post("ports", subnet_id=town.subnet["id"], security_groups=[town.clients["id"]])
    moving = cloud.attached(cloud.hand_made(0, mover, town.subnet))
    with (
        Talker(town.server, 80) as server,
        Talker(town.asker, 5000) as asker,
        Talker(still, 1001) as client,
        Talker(still, 443) as asked,
    ):
        with Talker(old, 1000) as gone, Talker(old, 443) as answering, Talker(moving, 1002) as one:
            gone.talks(server)
            asker.talks(answering)
            client.talks(server)
            asker.talks(asked)
            one.talks(server)
        cloud.unplug(0, moving)
        moving = cloud.attached(cloud.hand_made(1, mover, town.subnet))
        wait_until(lambda: cloud.get(f"ports/{mover['id']}")["host_id"] == cloud.host_ids[1])
        cloud.delete(f"ports/{old.id}?wait=realized&timeout=60")
        assert len(town.knows(old.ipv4)) == 2, "what there is to inherit"
        new = town.guest(0, town.others, fixed_ips=[old.ipv4])
        wait_until(lambda: not town.knows(old.ipv4), what="peers forget the port before")
        with Talker(new, 1000) as thief, Talker(new, 443) as liar, Talker(moving, 1002) as one:
            thief.say("as if I had been let in", server)
            liar.say("as if I had been asked", asker)
            town.close_server()
            client.say("still there", server)
            assert server.hears() == ("still there", still.ipv4)
            one.say("moved", server)
            assert server.hears() == ("moved", moving.ipv4)
            asked.say("late answer", asker)
            assert asker.hears() == ("late answer", still.ipv4)
    cloud.unplug(1, moving)
