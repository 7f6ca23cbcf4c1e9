"""The logical network in memory, with the indexes that compiling it needs.

It takes changes in any order. What refers to something that is not there (yet) is held and has no
effect; what two resources claim at once belongs to neither. So everything that is derived from a
network depends on its present contents alone, and an incomplete network forwards less, never more.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from vpcctl.model.address_group import AddressGroup
from vpcctl.model.addresses import IPAddress, IPNetwork
from vpcctl.model.changes import Change, ChangeBatch, Resource
from vpcctl.model.claims import Claims
from vpcctl.model.eip import Eip
from vpcctl.model.host import Host, networks_reached
from vpcctl.model.index import discard
from vpcctl.model.location import Location
from vpcctl.model.membership import Membership, single_pairs
from vpcctl.model.network_acl import NetworkAcl
from vpcctl.model.outside import Outside
from vpcctl.model.port import Port
from vpcctl.model.relay import Relay, relay_id
from vpcctl.model.residents import Residents
from vpcctl.model.security_group import SecurityGroup
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc


class Segment:
    """What is known of one subnet's ports, whether or not the subnet itself is there.

    Attributes:
        placed: its ports that have a location, by host.
        macs: claims of the ports' own MACs.
        ipv4: claims of fixed IPv4 addresses, as numbers.
        ipv6: claims of fixed IPv6 addresses, as numbers.
        pairs: ports that name a single address as an allowed pair, by address.
        pair_macs: ports that name a MAC other than their own in an allowed pair, by MAC.
    """

    __slots__ = ("ipv4", "ipv6", "macs", "pair_macs", "pairs", "placed")

    def __init__(self) -> None:
        self.placed: dict[str, Residents] = {}
        self.macs: Claims[int] = Claims()
        self.ipv4: Claims[int] = Claims()
        self.ipv6: Claims[int] = Claims()
        self.pairs: dict[IPAddress, set[str]] = {}
        self.pair_macs: dict[int, set[str]] = {}

    @property
    def ports(self) -> tuple[str, ...]:
        """Ids of its ports: each claims its MAC."""
        return tuple(self.macs.claimants())

    def fixed(self, ip: IPAddress) -> Claims[int]:
        """Return the claims of fixed addresses of *ip*'s family."""
        return self.ipv4 if ip.version == 4 else self.ipv6


def blocks_of(subnet: Subnet) -> Iterator[tuple[str, IPNetwork | IPAddress]]:
    """Yield what only one subnet of a VPC may have: blocks and gateways, with the VPC's id."""
    for block in (subnet.cidr, subnet.gateway, subnet.ipv6_cidr, subnet.ipv6_gateway):
        if block is not None:
            yield subnet.vpc_id, block


def foreign_macs(port: Port) -> set[int]:
    """Return the MACs other than its own that *port* names in allowed pairs."""
    named = (pair.mac for pair in port.allowed_pairs)
    return {mac for mac in named if mac is not None and mac != port.mac}


class Network:
    """All resources by id, and indexes over them.

    The dictionaries are for reading; only ``apply`` changes them.
    """

    __slots__ = (
        *("revision", "vpcs", "subnets", "ports", "hosts", "locations", "relays"),
        *("groups", "address_groups", "acls"),
        *("relays_of", "subnets_of", "subnets_at", "segments", "ofports"),
        *("vpc_keys", "vnis", "blocks", "port_keys", "host_keys", "vteps"),
        *("membership", "acl_subnets", "acls_of", "group_keys", "address_group_keys", "acl_keys"),
        *("outside", "table_subnets", "reaching", "_put"),
    )

    def __init__(self) -> None:
        self.revision = 0
        self.vpcs: dict[str, Vpc] = {}
        self.subnets: dict[str, Subnet] = {}
        self.ports: dict[str, Port] = {}
        self.hosts: dict[str, Host] = {}
        self.locations: dict[str, Location] = {}
        self.relays: dict[str, Relay] = {}
        self.groups: dict[str, SecurityGroup] = {}
        self.address_groups: dict[str, AddressGroup] = {}
        self.acls: dict[str, NetworkAcl] = {}
        self.relays_of: dict[str, set[str]] = {}
        self.subnets_of: dict[str, set[str]] = {}
        self.subnets_at: dict[str, set[str]] = {}
        self.segments: dict[str, Segment] = {}
        self.ofports: dict[str, Claims[int]] = {}
        self.vpc_keys: Claims[int] = Claims()
        self.vnis: Claims[int] = Claims()
        self.blocks: Claims[tuple[str, IPNetwork | IPAddress]] = Claims()
        self.port_keys: Claims[int] = Claims()
        self.host_keys: Claims[int] = Claims()
        self.vteps: Claims[IPAddress] = Claims()
        self.membership = Membership()
        self.acl_subnets: dict[str, set[str]] = {}
        self.acls_of: dict[str, set[str]] = {}
        self.group_keys: Claims[int] = Claims()
        self.address_group_keys: Claims[int] = Claims()
        self.acl_keys: Claims[int] = Claims()
        self.outside = Outside()
        self.table_subnets: dict[str, set[str]] = {}
        self.reaching: dict[str, set[str]] = {}
        self._put: dict[str, Callable[[str, Any], None]] = {
            "vpc": self._put_vpc,
            "subnet": self._put_subnet,
            "port": self._put_port,
            "host": self._put_host,
            "relay": self._put_relay,
            "location": self._put_location,
            "sg": self._put_group,
            "ag": self._put_address_group,
            "nacl": self._put_acl,
            "ext": self.outside.put_network,
            "igw": self.outside.put_internet,
            "nat": self.outside.put_nat,
            "eip": self._put_eip,
            "rtb": self.outside.put_table,
        }

    # --- taking changes ---------------------------------------------------------------------------

    def apply(self, changes: ChangeBatch | Iterable[Change]) -> None:
        """Take *changes*, in whatever order; the last state of a resource counts."""
        if isinstance(changes, ChangeBatch):
            self.revision = changes.revision
            changes = changes.changes
        for change in changes:
            self.apply_one(change)

    def apply_one(self, change: Change) -> None:
        """Take one change."""
        self._put[change.kind](change.id, change.resource)

    def present(self, change: Change) -> Resource | None:
        """Return the resource that *change* is about as it is now."""
        by_kind: dict[str, Mapping[str, Resource]] = {
            "vpc": self.vpcs,
            "subnet": self.subnets,
            "port": self.ports,
            "host": self.hosts,
            "location": self.locations,
            "relay": self.relays,
            "sg": self.groups,
            "ag": self.address_groups,
            "nacl": self.acls,
            "ext": self.outside.networks,
            "igw": self.outside.internet,
            "nat": self.outside.nats,
            "eip": self.outside.eips,
            "rtb": self.outside.tables,
        }
        return by_kind[change.kind].get(change.id)

    def segment(self, subnet_id: str) -> Segment:
        """Return what is known of a subnet's ports; an empty one when nothing is."""
        return self.segments.get(subnet_id) or Segment()

    def _put_vpc(self, vpc_id: str, new: Vpc | None) -> None:
        old = self.vpcs.pop(vpc_id, None)
        if old is not None:
            self.vpc_keys.drop(old.key, vpc_id)
        if new is not None:
            self.vpcs[vpc_id] = new
            self.vpc_keys.add(new.key, vpc_id)

    def _put_subnet(self, subnet_id: str, new: Subnet | None) -> None:
        old = self.subnets.pop(subnet_id, None)
        if old is not None:
            self.vnis.drop(old.vni, subnet_id)
            for block in blocks_of(old):
                self.blocks.drop(block, subnet_id)
            discard(self.subnets_of, old.vpc_id, subnet_id)
            if old.acl_id is not None:
                discard(self.acl_subnets, old.acl_id, subnet_id)
            if old.route_table_id is not None:
                discard(self.table_subnets, old.route_table_id, subnet_id)
        self._move_addresses(subnet_id, old, new)
        if new is not None:
            self.subnets[subnet_id] = new
            if new.acl_id is not None:
                self.acl_subnets.setdefault(new.acl_id, set()).add(subnet_id)
            if new.route_table_id is not None:
                self.table_subnets.setdefault(new.route_table_id, set()).add(subnet_id)
            self.vnis.add(new.vni, subnet_id)
            for block in blocks_of(new):
                self.blocks.add(block, subnet_id)
            self.subnets_of.setdefault(new.vpc_id, set()).add(subnet_id)

    def _put_host(self, host_id: str, new: Host | None) -> None:
        old = self.hosts.pop(host_id, None)
        if old is not None:
            self.host_keys.drop(old.key, host_id)
            if old.vtep is not None:
                self.vteps.drop(old.vtep, host_id)
            for network_id in networks_reached(old):
                discard(self.reaching, network_id, host_id)
        if new is not None:
            self.hosts[host_id] = new
            self.host_keys.add(new.key, host_id)
            if new.vtep is not None:
                self.vteps.add(new.vtep, host_id)
            for network_id in networks_reached(new):
                self.reaching.setdefault(network_id, set()).add(host_id)

    def _put_port(self, port_id: str, new: Port | None) -> None:
        self._unplace(port_id)
        old = self.ports.pop(port_id, None)
        if old is not None:
            self._unindex(old)
        if new is not None:
            new = self._shared_ids(new)
            self.ports[new.id] = new
            self._index(new)
            self._place(new.id)

    def _put_location(self, port_id: str, new: Location | None) -> None:
        self._unplace(port_id)
        old = self.locations.pop(port_id, None)
        if old is not None:
            self.ofports[old.host_id].drop(old.ofport, port_id)
            if not len(self.ofports[old.host_id]):
                del self.ofports[old.host_id]
        if new is not None:
            host = self.hosts.get(new.host_id)
            if host is not None and host.id is not new.host_id:
                new = dataclasses.replace(new, host_id=host.id)
            self.locations[port_id] = new
            self.ofports.setdefault(new.host_id, Claims()).add(new.ofport, port_id)
            self._place(port_id)

    def _put_relay(self, key: str, new: Relay | None) -> None:
        old = self.relays.pop(key, None)
        if old is not None:
            discard(self.relays_of, old.vpc_id, key)
        if new is not None:
            self.relays[key] = new
            self.relays_of.setdefault(new.vpc_id, set()).add(key)

    def _put_group(self, group_id: str, new: SecurityGroup | None) -> None:
        old = self.groups.pop(group_id, None)
        if old is not None:
            self.group_keys.drop(old.key, group_id)
            self.membership.drop_group(old)
        if new is not None:
            self.groups[group_id] = new
            self.group_keys.add(new.key, group_id)
            self.membership.add_group(new)

    def _put_address_group(self, group_id: str, new: AddressGroup | None) -> None:
        old = self.address_groups.pop(group_id, None)
        if old is not None:
            self.address_group_keys.drop(old.key, group_id)
        if new is not None:
            self.address_groups[group_id] = new
            self.address_group_keys.add(new.key, group_id)
        self.membership.put_address_group(group_id, new)

    def _put_acl(self, acl_id: str, new: NetworkAcl | None) -> None:
        old = self.acls.pop(acl_id, None)
        if old is not None:
            self.acl_keys.drop(old.key, acl_id)
            discard(self.acls_of, old.vpc_id, acl_id)
        if new is not None:
            self.acls[acl_id] = new
            self.acl_keys.add(new.key, acl_id)
            self.acls_of.setdefault(new.vpc_id, set()).add(acl_id)

    def _put_eip(self, eip_id: str, new: Eip | None) -> None:
        old = self.outside.eips.get(eip_id)
        self.outside.put_eip(eip_id, new)
        for eip in (old, new):
            port = self.ports.get(eip.port_id) if eip is not None and eip.port_id else None
            if port is not None:
                self.outside.face(port)

    # --- indexes ----------------------------------------------------------------------------------

    def _shared_ids(self, port: Port) -> Port:
        """Use the subnet's and groups' own id objects: 100,000 ports need no copies of them."""
        subnet, groups = self.subnets.get(port.subnet_id), self._shared_groups(port.groups)
        subnet_id = port.subnet_id if subnet is None else subnet.id
        if subnet_id is port.subnet_id and groups is port.groups:
            return port
        return dataclasses.replace(port, subnet_id=subnet_id, groups=groups)

    def _shared_groups(self, groups: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """Return *groups* as some other member of the first of them has it, or as the groups do."""
        if not groups:
            return groups
        for port_id in self.membership.members.get(groups[0], ()):
            found = self.ports[port_id].groups
            if found == groups:
                return found
            break  # one look is enough: most members have the same groups
        return tuple(self.groups[one].id if one in self.groups else one for one in groups)

    def _move_addresses(self, subnet_id: str, old: Subnet | None, new: Subnet | None) -> None:
        """Note what VPC the addresses of a subnet's ports are in."""
        before, after = (None if one is None else one.vpc_id for one in (old, new))
        segment = self.segments.get(subnet_id)
        if segment is None or before == after:
            return
        for port_id in segment.ports:
            self.membership.drop_addresses(before, self.ports[port_id])
            self.membership.add_addresses(after, self.ports[port_id])

    def _index(self, port: Port) -> None:
        self.port_keys.add(port.key, port.id)
        self.outside.add_port(port)
        self.membership.add_port(port)
        self.membership.add_addresses(self.vpc_of(port.subnet_id), port)
        segment = self.segments.get(port.subnet_id)
        if segment is None:
            segment = self.segments[port.subnet_id] = Segment()
        segment.macs.add(port.mac, port.id)
        for ip in port.ips:
            segment.fixed(ip).add(int(ip), port.id)
        for ip, _ in single_pairs(port):
            segment.pairs.setdefault(ip, set()).add(port.id)
        for mac in foreign_macs(port):
            segment.pair_macs.setdefault(mac, set()).add(port.id)

    def _unindex(self, port: Port) -> None:
        self.port_keys.drop(port.key, port.id)
        self.outside.drop_port(port)
        self.membership.drop_port(port)
        self.membership.drop_addresses(self.vpc_of(port.subnet_id), port)
        segment = self.segments[port.subnet_id]
        segment.macs.drop(port.mac, port.id)
        for ip in port.ips:
            segment.fixed(ip).drop(int(ip), port.id)
        for ip, _ in single_pairs(port):
            discard(segment.pairs, ip, port.id)
        for mac in foreign_macs(port):
            discard(segment.pair_macs, mac, port.id)
        if not len(segment.macs):
            del self.segments[port.subnet_id]

    def _place(self, port_id: str) -> None:
        port, location = self.ports.get(port_id), self.locations.get(port_id)
        if port is None or location is None:
            return
        placed = self.segments[port.subnet_id].placed
        placed.setdefault(location.host_id, Residents()).add(port.key, port_id)
        self.subnets_at.setdefault(location.host_id, set()).add(port.subnet_id)

    def _unplace(self, port_id: str) -> None:
        port, location = self.ports.get(port_id), self.locations.get(port_id)
        if port is None or location is None:
            return
        placed = self.segments[port.subnet_id].placed
        here = placed[location.host_id]
        here.discard(port.key, port_id)
        if not len(here):
            del placed[location.host_id]
            discard(self.subnets_at, location.host_id, port.subnet_id)

    # --- questions --------------------------------------------------------------------------------

    def live_subnet(self, subnet_id: str) -> tuple[Subnet, Vpc] | None:
        """Return a subnet and its VPC, or None unless both are there and own their numbers."""
        subnet = self.subnets.get(subnet_id)
        if subnet is None or self.vnis.owner(subnet.vni) is None:
            return None
        vpc = self.vpcs.get(subnet.vpc_id)
        if vpc is None or self.vpc_keys.owner(vpc.key) is None:
            return None
        return subnet, vpc

    def live_group(self, group_id: str, vpc_id: str) -> SecurityGroup | None:
        """Return a group of a VPC, or None unless it is there, alone with its key."""
        group = self.groups.get(group_id)
        if group is None or group.vpc_id != vpc_id or self.group_keys.owner(group.key) is None:
            return None
        return group

    def live_address_group(self, group_id: str) -> AddressGroup | None:
        """Return an address group, or None unless it is there, alone with its key."""
        group = self.address_groups.get(group_id)
        if group is None or self.address_group_keys.owner(group.key) is None:
            return None
        return group

    def live_acl(self, acl_id: str, vpc_id: str) -> NetworkAcl | None:
        """Return an ACL of a VPC, or None unless it is there, alone with its key."""
        acl = self.acls.get(acl_id)
        if acl is None or acl.vpc_id != vpc_id or self.acl_keys.owner(acl.key) is None:
            return None
        return acl

    def located(self, port_id: str) -> tuple[Port, Location, Host] | None:
        """Return a port that is in service, where it is, and that host; else None.

        In service: administratively up, sole owner of its key, and its interface has been seen
        on a known host at an OpenFlow port number that no other port claims.
        """
        port, location = self.ports.get(port_id), self.locations.get(port_id)
        if port is None or location is None or not port.admin_up:
            return None
        host = self.hosts.get(location.host_id)
        if host is None or location.ofport == host.tunnel_ofport:
            return None
        if self.ofports[host.id].owner(location.ofport) is None:
            return None
        if self.port_keys.owner(port.key) is None:
            return None
        return port, location, host

    def vtep_of(self, host_id: str) -> IPAddress | None:
        """Return the VTEP that a host alone has, or None."""
        host = self.hosts.get(host_id)
        if host is None or host.vtep is None or self.vteps.owner(host.vtep) is None:
            return None
        return host.vtep

    def vpc_of(self, subnet_id: str) -> str | None:
        """Return the id of the VPC that a subnet names, if the subnet is there."""
        subnet = self.subnets.get(subnet_id)
        return None if subnet is None else subnet.vpc_id

    def vpcs_at(self, host_id: str) -> set[str]:
        """Return the ids of VPCs that have a placed port or a gateway on a host."""
        if host_id not in self.hosts:
            return set()
        found = {self.vpc_of(subnet_id) for subnet_id in self.subnets_at.get(host_id, ())}
        found.update(self._routed_at(host_id))
        return {vpc_id for vpc_id in found if vpc_id is not None}

    def _routed_at(self, host_id: str) -> Iterator[str]:
        """Yield the ids of VPCs with a gateway that names a host."""
        for gateway_id in self.outside.gateways_on.get(host_id, ()):
            gateway = self.outside.gateway(gateway_id)
            if gateway is not None:
                yield gateway.vpc_id

    def has_vpc(self, host_id: str, vpc_id: str) -> bool:
        """Tell whether a VPC has a placed port or a gateway on a host that is there."""
        if host_id not in self.hosts:
            return False
        at = self.subnets_at.get(host_id, ())
        if any(self.vpc_of(subnet_id) == vpc_id for subnet_id in at):
            return True
        return vpc_id in self._routed_at(host_id)

    def is_loading(self, host_id: str, vpc_id: str) -> bool:
        """Tell whether a host is known not to have the whole of a VPC yet."""
        return relay_id(host_id, vpc_id) in self.relays

    def hosts_of(self, vpc_id: str) -> set[str]:
        """Return the ids of hosts where a VPC has a placed port or a gateway."""
        gateways = map(self.outside.gateway, self.outside.gateways_of(vpc_id))
        named = (host_id for one in gateways if one is not None for host_id in one.hosts)
        hosts = {host_id for host_id in named if host_id in self.hosts}
        for subnet_id in self.subnets_of.get(vpc_id, ()):
            segment = self.segments.get(subnet_id)
            if segment is not None:
                hosts.update(host_id for host_id in segment.placed if host_id in self.hosts)
        return hosts
