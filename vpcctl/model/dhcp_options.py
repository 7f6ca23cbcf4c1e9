"""Options of DHCP: what guests are told beside their addresses."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DhcpOptions:
    """Options of DHCP; None says nothing, an empty list says that there are none.

    Attributes:
        lease_time_s: how long a lease is good for, seconds.
        dns_servers: resolvers of both IP versions.
        domain_name: DNS domain of guests.
        search_domains: domains that short names are looked up in.
        ntp_servers: time servers of both IP versions.
        routes: further IPv4 routes, (block, next hop).
    """

    lease_time_s: int | None = None
    dns_servers: tuple[str, ...] | None = None
    domain_name: str | None = None
    search_domains: tuple[str, ...] | None = None
    ntp_servers: tuple[str, ...] | None = None
    routes: tuple[tuple[str, str], ...] | None = None
