"""What a peer may do: deadlines, numbers of connections, and how much it may say unasked."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a peer may do.

    Attributes:
        handshake_s: seconds from accepting a connection to a known, accepted datapath.
        echo_idle_s: silence after which we ask for an echo.
        echo_dead_s: silence after which the connection is dropped.
        stall_s: how long a peer may leave our bytes unread.
        write_buffer: bytes that wait for a peer before we stop producing for it. As many as ever
            waited are what OpenSSL keeps for its connection.
        most_unread: bytes that wait for a peer before it is dropped.
        messages_per_s: sustained rate of messages from one peer, see ``cost``.
        message_burst: messages above that rate that a peer may send at once: all that 2,000 ports
            say of themselves when they are plugged, several times.
        connections: connections at most, counted from when they are accepted.
        strangers: of these, connections that have not shown who they are yet: all hosts that
            connect at once when the controller has started again, twice over. With TLS under way,
            one takes 60 KB.
        strangers_of_address: of these, from one address (of IPv6: one /64), or of one user: a
            thousand hosts may be behind one address.
        strangers_of_host: of these, with the certificate of one host: a switch has one connection,
            and its last one may not have ended yet.
    """

    handshake_s: float = 10.0
    echo_idle_s: float = 5.0
    echo_dead_s: float = 15.0
    stall_s: float = 15.0
    write_buffer: int = 8 * 1024
    most_unread: int = 8 * 1024 * 1024
    messages_per_s: float = 2_000.0
    message_burst: float = 20_000.0
    connections: int = 4_096
    strangers: int = 2_048
    strangers_of_address: int = 1_536
    strangers_of_host: int = 2


def cost(length: int) -> int:
    """Return as how many messages one of *length* bytes counts that nobody asked for.

    Bytes have to be read, decrypted and copied: a kibibyte is as much work as a message.
    """
    return 1 + (length >> 10)


class Allowance:
    """How many messages a peer may still send: a bucket that fills at a sustained rate."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = limits.message_burst
        self._filled = time.monotonic()

    def spend(self, messages: int) -> bool:
        """Take *messages* out; tell whether there were as many."""
        self._left -= messages
        if self._left < 0:
            now = time.monotonic()
            gained = (now - self._filled) * self._limits.messages_per_s
            self._left = min(self._limits.message_burst, self._left + gained)
            self._filled = now
        return self._left >= 0
