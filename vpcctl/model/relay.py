"""A relay: a host that forwards for another one, which is still loading a VPC."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Relay:
    """That a host has not all flows of a VPC yet, and who has them in its place.

    No resource of anybody's: whoever loads hosts puts it into the network and takes it out again.

    Attributes:
        host_id: the host that is loading.
        vpc_id: the VPC that is new there.
        via_id: a host that has the whole VPC.
        since: revision at which the VPC came to the host; tells one arrival from a later one.
        closing: the host has everything and sends nothing to the relay any more; the relay still
            takes what is under way.
    """

    host_id: str
    vpc_id: str
    via_id: str
    since: int
    closing: bool = False

    @property
    def id(self) -> str:
        """Its id in changes: one host loads one VPC at most once at a time."""
        return relay_id(self.host_id, self.vpc_id)


def relay_id(host_id: str, vpc_id: str) -> str:
    """Return the id of the relay of a VPC that is new on a host."""
    return f"{host_id}/{vpc_id}"
