"""The client's certificate: over TLS a host's token counts only together with its certificate."""

import asyncio
import time

from starlette.types import Scope

from api.context import Context
from vpcctl.model.problems import Unauthenticated
from vpcctl.pki.certificates import HostIdentity, host_identity
from vpcctl.pki.errors import PkiError
from vpcctl.services.views import Actor

STATE = "vpcctl_peer"
RECHECK_S = 30.0


class NotProven(Unauthenticated):
    """The token may be good, but the connection does not prove that it is in the right hands.

    The connection is closed with the answer: a client that has a better certificate by now shows
    it when it connects again.
    """


class Peer:
    """Who is at the other end of a TLS connection; lives as long as that does.

    Attributes:
        identity: the host of the certificate, which the handshake has verified; None when the
            client showed none, or one that is not a host's.
        believed_until: monotonic seconds until which the database need not be asked again.
    """

    __slots__ = ("believed_until", "identity")

    def __init__(self, identity: HostIdentity | None) -> None:
        self.identity = identity
        self.believed_until = 0.0


def peer_of(transport: asyncio.BaseTransport) -> Peer | None:
    """Return the peer of a TLS connection; None when it is a plain one."""
    connection = transport.get_extra_info("ssl_object")
    if connection is None:
        return None
    der = connection.getpeercert(binary_form=True)
    try:
        return Peer(host_identity(der) if der else None)
    except PkiError:
        return Peer(None)


async def require_own_certificate(context: Context, scope: Scope, actor: Actor) -> None:
    """Check that a host that comes over TLS has shown its own certificate, which is still good.

    A token that was copied off a host is worth nothing elsewhere then. Admins and tenants need no
    certificate, and on the loopback and on Unix sockets there is none.

    Raises:
        NotProven: it has not.
    """
    if actor.role != "host" or actor.host_id is None:
        return
    peer = scope.get("state", {}).get(STATE)
    if peer is None and scope.get("scheme") != "https":
        return
    if peer is None or peer.identity is None or peer.identity.host_id != actor.host_id:
        raise NotProven(
            "Over TLS a host's token counts only together with this host's certificate."
        )
    now = time.monotonic()
    if now < peer.believed_until:
        return
    serial = peer.identity.serial
    if not await context.call(context.services.pki.is_valid, actor.host_id, serial):
        raise NotProven("The host's certificate was revoked.")
    peer.believed_until = now + RECHECK_S
