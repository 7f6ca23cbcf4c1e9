"""What the three-tier lab builds, and who should reach whom there: no I/O, nothing computed twice.

The expectation is written down by hand and not derived from the rules: it is what a person who
reads the rules concludes, so a wrong rule and a wrong flow are both noticed.
"""

from dataclasses import dataclass

from mininet_labs.common.reachability import PING, Service, Services
from mininet_labs.common.workloads import Workload

TENANT = "shop"
VPC_CIDRS = ("10.8.0.0/16", "fd08::/48")
_NUMBERS = {"web": 1, "app": 2, "db": 3, "office": 8, "guests": 9}
SUBNETS = {
    name: {"cidr": f"10.8.{number}.0/24", "ipv6_cidr": f"fd08:0:0:{number}::/64"}
    for name, number in _NUMBERS.items()
}
PLACES = {
    "web-1": ("web", "host1"),
    "web-2": ("web", "host2"),
    "app-1": ("app", "host2"),
    "app-2": ("app", "host3"),
    "db-1": ("db", "host3"),
    "db-2": ("db", "host1"),
    "office-1": ("office", "host1"),
    "guest-1": ("guests", "host2"),
    "guest-2": ("guests", "host3"),
}
"""Workload → its subnet and host."""

SSH, HTTP, TLS, APP, DB = 22, 80, 443, 8080, 5432
SERVICES: tuple[Service, ...] = (PING, SSH, HTTP, TLS, APP, DB)
_LETTERS: dict[Service, str] = {PING: "p", SSH: "s", HTTP: "h", TLS: "t", APP: "a", DB: "d"}
LEGEND = "p ping, s 22, h 80, t 443, a 8080, d 5432; - nothing"


@dataclass(frozen=True)
class Rule:
    """A rule as a person says it; it is for both families.

    Attributes:
        direction: ``ingress`` or ``egress``.
        what: ``tcp/443``, ``icmp``, or ``any``.
        remote: ``any``, ``group NAME`` or ``addresses NAME``.
    """

    direction: str
    what: str
    remote: str = "any"


GROUPS: dict[str, tuple[Rule, ...]] = {
    "web": (
        Rule("ingress", "tcp/80"),
        Rule("ingress", "tcp/443"),
        Rule("ingress", "icmp"),
        Rule("egress", "any"),
    ),
    # Not a word to anybody but the databases, not even to the web servers that ask it.
    "app": (Rule("ingress", "tcp/8080", "group web"), Rule("egress", "tcp/5432", "group db")),
    # Only answers.
    "db": (Rule("ingress", "tcp/5432", "group app"),),
    "ssh": (Rule("ingress", "tcp/22", "addresses office"),),
    "office": (Rule("egress", "any"),),
}
"""The groups with their rules; a group may be named before it has any."""

GROUPS_OF = {
    "web": ("web", "ssh"),
    "app": ("app", "ssh"),
    "db": ("db", "ssh"),
    "office": ("office",),
    "guests": None,
}
"""Subnet → groups of the ports in it; None: not a word about groups, which means ``default``."""

ACL_SUBNET = "db"
ACL_RULES = (
    (100, "ingress", "tcp", str(DB)),
    # It judges each packet by itself, so answers need a line too.
    (100, "egress", "tcp", "1024-65535"),
)
"""Number, direction, protocol and ports of what the databases' subnet lets in and out, from and to
the whole VPC: no ssh, though the groups allow it."""

EVERYTHING = frozenset(SERVICES)
_EXPECTED: dict[tuple[str, str], Services] = {
    ("web", "web"): frozenset({PING, HTTP, TLS}),
    ("web", "app"): frozenset({APP}),
    ("app", "db"): frozenset({DB}),
    ("office", "web"): frozenset({PING, SSH, HTTP, TLS}),
    ("office", "app"): frozenset({SSH}),
    ("guests", "web"): frozenset({PING, HTTP, TLS}),
    ("guests", "guests"): EVERYTHING,
}


def expected(one: Workload, other: Workload) -> Services:
    """Return which services of *other* the workload *one* should reach."""
    return _EXPECTED.get((one.subnet, other.subnet), frozenset())


def letters(services: Services) -> str:
    """Return a set of services as letters; see LEGEND."""
    return "".join(_LETTERS[service] for service in SERVICES if service in services) or "-"
