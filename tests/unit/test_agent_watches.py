"""Who may be taken for the active gateway host before BFD has said who lives."""

import asyncio
from typing import Any, cast

from agent.settings import Settings
from agent.watches import Watches
from tests.unit.test_names_keeper import HOST, state
from vpcctl.wire.state import OutsideAddress

OTHER = "host-00000000000000002"


def address(*hosts: str) -> OutsideAddress:
    return OutsideAddress(
        network_id="ext-00000000000000001",
        address="203.0.113.10",
        mac="0a:76:00:00:00:01",
        hosts=hosts,
    )


async def _stands(*orders: tuple[str, ...]) -> list[bool]:
    """Return whether the host may stand before any state, and with addresses of these hosts."""
    settings = Settings(host_id=HOST, api_url="unix:/nonexistent")
    nothing = cast("Any", None)
    watches = Watches(settings, nothing, nothing, lambda: None, lambda: None)
    found = [watches.may_stand()]
    for number, hosts in enumerate(orders, 1):
        addresses = (address(*hosts),) if hosts else ()
        watches.want(state(number).model_copy(update={"outside_addresses": addresses}))
        found.append(watches.may_stand())
    return found


def test_a_host_that_does_not_know_who_comes_before_it_does_not_stand_yet() -> None:
    assert asyncio.run(_stands(())) == [False, True]
    assert asyncio.run(_stands((HOST, OTHER), (OTHER, HOST))) == [False, True, False]
