"""Whether the certificates that switches have shown are still good: TLS cannot know that."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from vpcctl.model.problems import Problem
from vpcctl.pki.certificates import HostIdentity
from vpcctl.southbound.transport.connection import Connection

log = structlog.get_logger(__name__)

_PERIOD_S = 1.0


class Certificates(Protocol):
    """Knows revoked and expired ones (``vpcctl.store.certificates.CertificateStore``)."""

    def invalid(self, identities: Iterable[HostIdentity]) -> frozenset[HostIdentity]:
        """Return those that are not valid (any more)."""
        ...


async def is_valid(certificates: Certificates, identity: HostIdentity) -> bool:
    """Tell whether a new connection's certificate is good; not when the database is away."""
    try:
        return identity not in await asyncio.to_thread(certificates.invalid, [identity])
    except Problem as problem:
        log.warning("certificate cannot be checked", host=identity.host_id, error=problem.detail)
        return False


async def watch(
    certificates: Certificates, connections: Callable[[], Iterable[Connection]]
) -> None:
    """Drop connections whose certificate was revoked or has expired, for ever.

    A database that is away drops nobody: hosts that were good a moment ago stay.

    Args:
        certificates: who knows.
        connections: gives the open ones.
    """
    while True:
        await asyncio.sleep(_PERIOD_S)
        shown = {one: one.identity for one in connections() if one.identity is not None}
        if not shown:
            continue
        try:
            bad = await asyncio.to_thread(certificates.invalid, set(shown.values()))
        except Problem as problem:
            log.warning("certificates cannot be checked", error=problem.detail)
            continue
        for connection, identity in shown.items():
            if identity in bad and connection.is_open:
                log.warning("certificate void", host=identity.host_id, serial=identity.serial)
                connection.drop("its certificate was revoked or has expired")
