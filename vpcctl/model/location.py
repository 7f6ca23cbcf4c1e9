"""A location: where a port's interface has been seen and won the claim."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """The one place where a port is now.

    Attributes:
        port_id: ``port-…``.
        host_id: host whose report holds the winning claim.
        ofport: OpenFlow port number of its interface on that host's br-int, 1 … 32767 (see
            ``MAX_PORT_OFPORT``).
    """

    port_id: str
    host_id: str
    ofport: int
