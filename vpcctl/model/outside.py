"""What a network knows of the world outside, with the indexes that compiling it needs."""

from vpcctl.model.addresses import IPAddress
from vpcctl.model.claims import Claims
from vpcctl.model.eip import Eip, outside_mac
from vpcctl.model.external_network import ExternalNetwork
from vpcctl.model.gateway import InternetGateway, NatGateway
from vpcctl.model.host import question_slot
from vpcctl.model.index import discard
from vpcctl.model.port import Port
from vpcctl.model.route_table import RouteTable

Gateway = InternetGateway | NatGateway


def targets_of(table: RouteTable) -> set[str]:
    """Return the ids of what a route table's routes lead to."""
    return {target.id for route in table.routes for target in route.targets}


_GLOBAL_UNICAST = 0x2000 >> 13


def global_addresses(port: Port) -> tuple[IPAddress, ...]:
    """Return a port's fixed addresses that are routed in the world: 2000::/3 (RFC 4291, 2.5.4)."""
    return tuple(filter(is_global, port.ips))


def is_global(ip: IPAddress) -> bool:
    """Tell whether an address is routed in the world: one of 2000::/3."""
    return ip.version == 6 and int(ip) >> 125 == _GLOBAL_UNICAST


def _slot(port: Port) -> int:
    return question_slot(outside_mac(port.key))


class Outside:
    """External networks, gateways, EIPs and route tables by id, and indexes over them.

    Attributes:
        networks: external networks.
        internet: internet gateways.
        nats: NAT gateways.
        eips: EIPs.
        tables: route tables.
        internet_of: ids of a VPC's internet gateways.
        nats_of: ids of a VPC's NAT gateways.
        tables_of: ids of a VPC's route tables.
        eips_of_port: ids of EIPs that name a port.
        eips_of_nat: ids of EIPs that name a NAT gateway.
        gateways_on: ids of gateways that name a host.
        network_keys: claims of external networks' keys.
        eip_keys: claims of EIPs' keys.
        addresses: claims of EIPs' addresses, by external network.
        fixed: claims of the fixed addresses under EIPs, by port.
        table_keys: claims of route tables' keys.
        main: claims of being a VPC's main table.
        zones: claims of NAT gateways' keys.
        vnis: claims of gateways' VNIs.
        tables_to: ids of route tables with a route to a target, by its id.
        on_network: ids of gateways that name an external network.
        global_ips: claims of global IPv6 addresses, by port.
        facing: ids of a subnet's ports that have global addresses or an EIP.
        asking: ids of EIPs, and of ports with global addresses, by their ``question_slot``.
    """

    __slots__ = (
        *("networks", "internet", "nats", "eips", "tables"),
        *("internet_of", "nats_of", "tables_of", "eips_of_port", "eips_of_nat", "gateways_on"),
        *("network_keys", "eip_keys", "addresses", "fixed", "table_keys", "main", "zones"),
        *("vnis", "tables_to", "on_network", "global_ips", "facing", "asking"),
    )

    def __init__(self) -> None:
        self.networks: dict[str, ExternalNetwork] = {}
        self.internet: dict[str, InternetGateway] = {}
        self.nats: dict[str, NatGateway] = {}
        self.eips: dict[str, Eip] = {}
        self.tables: dict[str, RouteTable] = {}
        self.internet_of: dict[str, set[str]] = {}
        self.nats_of: dict[str, set[str]] = {}
        self.tables_of: dict[str, set[str]] = {}
        self.eips_of_port: dict[str, set[str]] = {}
        self.eips_of_nat: dict[str, set[str]] = {}
        self.gateways_on: dict[str, set[str]] = {}
        self.network_keys: Claims[int] = Claims()
        self.eip_keys: Claims[int] = Claims()
        self.addresses: Claims[tuple[str, IPAddress]] = Claims()
        self.fixed: Claims[tuple[str, IPAddress]] = Claims()
        self.table_keys: Claims[int] = Claims()
        self.main: Claims[str] = Claims()
        self.zones: Claims[int] = Claims()
        self.vnis: Claims[int] = Claims()
        self.tables_to: dict[str, set[str]] = {}
        self.on_network: dict[str, set[str]] = {}
        self.global_ips: Claims[IPAddress] = Claims()
        self.facing: dict[str, set[str]] = {}
        self.asking: dict[int, set[str]] = {}

    def put_network(self, network_id: str, new: ExternalNetwork | None) -> None:
        """Take the present state of an external network."""
        old = self.networks.pop(network_id, None)
        if old is not None:
            self.network_keys.drop(old.key, network_id)
        if new is not None:
            self.networks[network_id] = new
            self.network_keys.add(new.key, network_id)

    def put_internet(self, gateway_id: str, new: InternetGateway | None) -> None:
        """Take the present state of an internet gateway."""
        old = self.internet.pop(gateway_id, None)
        self._move_gateway(self.internet_of, old, new)
        if new is not None:
            self.internet[gateway_id] = new

    def put_nat(self, gateway_id: str, new: NatGateway | None) -> None:
        """Take the present state of a NAT gateway."""
        old = self.nats.pop(gateway_id, None)
        self._move_gateway(self.nats_of, old, new)
        if old is not None:
            self.zones.drop(old.key, gateway_id)
        if new is not None:
            self.nats[gateway_id] = new
            self.zones.add(new.key, gateway_id)

    def _move_gateway(
        self, by_vpc: dict[str, set[str]], old: Gateway | None, new: Gateway | None
    ) -> None:
        if old is not None:
            discard(by_vpc, old.vpc_id, old.id)
            discard(self.on_network, old.external_network_id, old.id)
            self.vnis.drop(old.vni, old.id)
            for host_id in old.hosts:
                discard(self.gateways_on, host_id, old.id)
        if new is not None:
            by_vpc.setdefault(new.vpc_id, set()).add(new.id)
            self.on_network.setdefault(new.external_network_id, set()).add(new.id)
            self.vnis.add(new.vni, new.id)
            for host_id in new.hosts:
                self.gateways_on.setdefault(host_id, set()).add(new.id)

    def put_eip(self, eip_id: str, new: Eip | None) -> None:
        """Take the present state of an EIP."""
        old = self.eips.pop(eip_id, None)
        if old is not None:
            self._drop_eip(old)
        if new is None:
            return
        self.eips[eip_id] = new
        self.asking.setdefault(question_slot(new.mac), set()).add(eip_id)
        self.eip_keys.add(new.key, eip_id)
        self.addresses.add((new.external_network_id, new.address), eip_id)
        if new.port_id is not None:
            self.eips_of_port.setdefault(new.port_id, set()).add(eip_id)
            if new.fixed_ip is not None:
                self.fixed.add((new.port_id, new.fixed_ip), eip_id)
        if new.nat_gateway_id is not None:
            self.eips_of_nat.setdefault(new.nat_gateway_id, set()).add(eip_id)

    def _drop_eip(self, old: Eip) -> None:
        discard(self.asking, question_slot(old.mac), old.id)
        self.eip_keys.drop(old.key, old.id)
        self.addresses.drop((old.external_network_id, old.address), old.id)
        if old.port_id is not None:
            discard(self.eips_of_port, old.port_id, old.id)
            if old.fixed_ip is not None:
                self.fixed.drop((old.port_id, old.fixed_ip), old.id)
        if old.nat_gateway_id is not None:
            discard(self.eips_of_nat, old.nat_gateway_id, old.id)

    def put_table(self, table_id: str, new: RouteTable | None) -> None:
        """Take the present state of a route table."""
        old = self.tables.pop(table_id, None)
        if old is not None:
            self.table_keys.drop(old.key, table_id)
            discard(self.tables_of, old.vpc_id, table_id)
            for target_id in targets_of(old):
                discard(self.tables_to, target_id, table_id)
            if old.is_main:
                self.main.drop(old.vpc_id, table_id)
        if new is not None:
            self.tables[table_id] = new
            self.table_keys.add(new.key, table_id)
            self.tables_of.setdefault(new.vpc_id, set()).add(table_id)
            for target_id in targets_of(new):
                self.tables_to.setdefault(target_id, set()).add(table_id)
            if new.is_main:
                self.main.add(new.vpc_id, table_id)

    def add_port(self, port: Port) -> None:
        """Note the global addresses of a port."""
        self.face(port)
        for ip in global_addresses(port):
            self.global_ips.add(ip, port.id)
            self.asking.setdefault(_slot(port), set()).add(port.id)

    def drop_port(self, port: Port) -> None:
        """Forget the global addresses of a port."""
        discard(self.facing, port.subnet_id, port.id)
        for ip in global_addresses(port):
            self.global_ips.drop(ip, port.id)
            discard(self.asking, _slot(port), port.id)

    def face(self, port: Port) -> None:
        """Note whether a port has an address outside, as it is or with its EIPs."""
        if port.id in self.eips_of_port or global_addresses(port):
            self.facing.setdefault(port.subnet_id, set()).add(port.id)
        else:
            discard(self.facing, port.subnet_id, port.id)

    # --- questions --------------------------------------------------------------------------------

    def is_empty(self) -> bool:
        """Tell whether nothing is left, in any index either."""
        return not any(len(getattr(self, name)) for name in self.__slots__)

    def gateways_of(self, vpc_id: str) -> set[str]:
        """Return the ids of all gateways of a VPC."""
        return {*self.internet_of.get(vpc_id, ()), *self.nats_of.get(vpc_id, ())}

    def gateway(self, gateway_id: str) -> Gateway | None:
        """Return an internet or NAT gateway."""
        return self.internet.get(gateway_id) or self.nats.get(gateway_id)

    def live_network(self, network_id: str) -> ExternalNetwork | None:
        """Return an external network, or None unless it is there, alone with its key."""
        network = self.networks.get(network_id)
        if network is None or self.network_keys.owner(network.key) is None:
            return None
        return network

    def live_eip(self, eip_id: str) -> Eip | None:
        """Return an EIP, or None unless it is there and alone with its key and address."""
        eip = self.eips.get(eip_id)
        if eip is None or self.eip_keys.owner(eip.key) is None:
            return None
        if self.addresses.owner((eip.external_network_id, eip.address)) is None:
            return None
        return eip

    def main_table(self, vpc_id: str) -> RouteTable | None:
        """Return the main route table of a VPC, if it has exactly one."""
        table_id = self.main.owner(vpc_id)
        return None if table_id is None else self.live_table(table_id, vpc_id)

    def live_table(self, table_id: str, vpc_id: str) -> RouteTable | None:
        """Return a route table of a VPC, or None unless it is there, alone with its key."""
        table = self.tables.get(table_id)
        if table is None or table.vpc_id != vpc_id or self.table_keys.owner(table.key) is None:
            return None
        return table
