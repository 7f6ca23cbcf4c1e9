from tests.store.conftest import ADMIN, World


def test_a_first_network(world: World) -> None:
    subnet = world.subnet(ipv6_cidr=None)
    ports = [world.port(subnet) for _ in range(3)]
    assert [str(p.fixed_ips[0]) for p in ports] == ["10.0.1.2", "10.0.1.3", "10.0.1.4"]
    batch = world.feed.load()
    kinds = ["vpc", "sg", "subnet", "port", "port", "port", "rtb"]
    assert [c.kind for c in batch.changes] == kinds
    assert world.look(ports[0]).status.state == "pending"
    world.services.ports.delete(ADMIN, ports[0].meta.id)
    changes = world.feed.changes(batch.revision)
    assert changes is not None
    assert [(c.kind, c.resource) for c in changes.changes] == [("port", None)]
    world.services.maintain()
