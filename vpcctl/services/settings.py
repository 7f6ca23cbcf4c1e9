"""What the services need to know of the deployment."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Quotas:
    """How much one tenant may have, and how long one thing's lists may be.

    Attributes:
        security_groups: beside the default group of each VPC.
        address_groups: of more than 4,000 with the same block the newest let nobody in, see
            ``pipeline.service.MOST_CONJUNCTIONS``.
        rules: of one security group.
        cidrs: of one address group.
        entries: of one network ACL.
        dhcp_options: sets of DHCP options.
        dns_records: of one VPC, each with the values of one name and type.
        route_tables: beside the main one of each VPC.
        routes: of one route table.
        forwards: port forwards of one NAT gateway.
    """

    vpcs: int = 1_000
    subnets: int = 5_000
    ports: int = 100_000
    security_groups: int = 2_500
    rules: int = 200
    address_groups: int = 100
    cidrs: int = 1_000
    network_acls: int = 200
    entries: int = 40
    dhcp_options: int = 1_000
    dns_records: int = 1_000
    route_tables: int = 2_000
    routes: int = 100
    internet_gateways: int = 1_000
    nat_gateways: int = 200
    eips: int = 1_000
    forwards: int = 100


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What the services need to know of the deployment.

    Attributes:
        openflow_targets: OVSDB controller targets that agents are told.
        report_interval_s: seconds between two reports of an agent.
        dns_forwarders: resolvers that hosts ask for what is in no VPC's zone.
        quotas: limits per tenant.
        event_keep_s: how long events are kept, seconds.
        event_keep: how many revisions of events are kept at most.
        pki_dir: where the authority is; None: this controller has none.
        tenants_name_interfaces: whether tenants may name OVS interfaces of hosts in attachments.
        host_certificate_life: how long a host's certificate is good for.
    """

    openflow_targets: tuple[str, ...] = ("tcp:127.0.0.1:6653",)
    report_interval_s: float = 5.0
    dns_forwarders: tuple[str, ...] = ()
    quotas: Quotas = field(default_factory=Quotas)
    event_keep_s: float = 7 * 86_400.0
    event_keep: int = 1_000_000
    pki_dir: Path | None = None
    tenants_name_interfaces: bool = False
    host_certificate_life: timedelta = timedelta(days=30)
