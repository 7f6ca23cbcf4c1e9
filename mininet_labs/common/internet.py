"""Ways out to the provider's network and back in, as tenants make them; and who answers there."""

from mininet_labs.common.outside import BLOCK, POOL, ROUTER, Visitor
from mininet_labs.common.report import Checks, say
from mininet_labs.common.runs import PROVIDER
from mininet_labs.common.site import PATIENCE_S, Site

NETWORK = "internet"
PORT = 7770
"""Where everybody who is called answers."""


def create(site: Site) -> None:
    """Let tenants use the provider's network."""
    site.vpcctl(
        None,
        *("external-network", "create", NETWORK, "--provider", PROVIDER),
        *("--cidr", BLOCK, "--gateway", ROUTER, "--pool", POOL),
    )


def create_eip(site: Site, tenant: str) -> None:
    """Give a tenant an EIP, named after it."""
    site.vpcctl(tenant, "eip", "create", eip_of(tenant), "--network", NETWORK)


def eip_of(tenant: str) -> str:
    """Return the name of a tenant's EIP."""
    return f"{tenant}-ip"


def lead_out(site: Site, tenant: str, port: str) -> None:
    """Lead a tenant's VPC, which has its name, to the network, and give *port* its EIP."""
    site.vpcctl(tenant, "internet-gateway", "create", "out", "--vpc", tenant, "--network", NETWORK)
    site.vpcctl(tenant, "route", "add", "main", "0.0.0.0/0", "--to", "igw:out", "--vpc", tenant)
    site.vpcctl(tenant, "eip", "associate", eip_of(tenant), "--port", port, "--wait")


def take_back(site: Site, tenant: str) -> None:
    """Take the default route away that led a tenant's VPC out."""
    site.vpcctl(tenant, "route", "delete", "main", "0.0.0.0/0", "--vpc", tenant)


def expect_answer(outside: Visitor, address: str, name: str, checks: Checks) -> None:
    """Let somebody outside call *address*, where *name* is to answer."""
    who, _ = outside.call(address, PORT, PATIENCE_S)
    say(f"  outside calls {address}: {who} answers")
    checks.expect(who == name, f"{name} answers at {address}")


def expect_seen(
    name: str, who: str | None, seen_as: str | None, address: str, checks: Checks
) -> None:
    """Judge what *name* heard when it called outside: who answered, and as whom it was seen."""
    say(f"  {name} calls {ROUTER}: {who} answers, and sees {seen_as}")
    checks.expect((who, seen_as) == ("outside", address), f"{name} is seen as {address}")
