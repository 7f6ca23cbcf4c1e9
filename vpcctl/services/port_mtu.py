"""The MTU of ports: one for all, because any may come to speak to any other."""

from vpcctl.services.attachments import touch_hosts_with
from vpcctl.services.outside_touch import touch_all
from vpcctl.store.external_networks import EXTERNAL_NETWORKS
from vpcctl.store.hosts import port_mtu
from vpcctl.store.units import Unit


def follow(unit: Unit, before: int) -> None:
    """Tell guests and external networks' flows if the MTU of ports is another one than *before*."""
    now = port_mtu(unit.connection)
    if now == before:
        return
    networks = EXTERNAL_NETWORKS.all(unit.connection)
    for row in networks:
        unit.tell("ext", row.id, "", "changed", f"ports take {now} bytes")
    if networks:
        touch_all(unit)
    else:
        touch_hosts_with(unit)
