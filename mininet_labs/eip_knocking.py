"""Conversations that begin all the time, and how many of them were lost."""

from mininet_labs.common.internet import PORT
from mininet_labs.common.outside import ROUTER, Visitor
from mininet_labs.common.report import say
from mininet_labs.eip_plan import BLUE, RED, Stage


def knock(stage: Stage, forwarded: int) -> list[Visitor]:
    """Have conversations begin out by an EIP and a NAT gateway, and in by both.

    Args:
        stage: where.
        forwarded: the NAT gateway's port that leads in.

    Returns:
        Who begins them.
    """
    inside, outside = (
        [stage.visitors[one] for one in ("red-2", "blue-1")],
        stage.visitors["outside"],
    )
    for caller in inside:
        caller.knock(ROUTER, PORT)
    outside.knock(stage.address(RED), PORT)
    outside.knock(stage.address(BLUE), forwarded, datagrams=False)
    return [*inside, outside]


def knocked(visitor: Visitor) -> tuple[int, int]:
    """Have a visitor begin no more conversations; return how many began and were lost."""
    sent, lost, longest = visitor.knocked()
    name = visitor.workload.name
    say(f"  {name}: {lost} of {sent} conversations were lost, none took over {longest} ms")
    return sent, lost
