"""An EIP is released while its peers go on trying, and another tenant gets the same address."""

import time

from mininet_labs.common.internet import PORT, eip_of
from mininet_labs.common.outside import Witness
from mininet_labs.common.processes import within
from mininet_labs.common.report import Checks, say
from mininet_labs.common.rest import Api, ApiError
from mininet_labs.common.site import PATIENCE_S
from mininet_labs.eip_plan import BLUE, RED, Stage

_OLD_PORT = 7771
"""Where the old owner alone answers datagrams."""
_RETRIED_S = 6.0
"""TCP has sent again by then what was not answered for as long as the address was nobody's."""
_AGAIN = "again"


def reuse(stage: Stage, witness: Witness, checks: Checks) -> None:
    """Release red's EIP under a connection, and let blue have it."""
    say("\n12. red's EIP is released while outside goes on; blue asks for that very address")
    address, outside = stage.address(RED), stage.visitors["outside"]
    stage.visitors["red-2"].listen(_OLD_PORT)
    outside.hold(address, PORT, _OLD_PORT)
    heard = within(lambda: min(outside.held()[:2]) > 0, seconds=PATIENCE_S)
    checks.expect(heard, "red-2 answers on a connection, and datagrams")
    for words in (("disassociate", eip_of(RED)), ("release", eip_of(RED))):
        stage.site.vpcctl(RED, "eip", *words, "--wait")
    _hand_over(stage, address, checks)
    _expect_old_is_dead(stage, checks)
    who, _ = outside.call(address, PORT, PATIENCE_S)
    say(f"  outside calls {address} anew: {who} answers")
    checks.expect(who == "blue-1", "new connections reach the new owner")
    voices = witness.voices(address)
    say(f"  whose the address was said to be, one after the other: {', '.join(voices)}")
    once = len(voices) == len(set(voices)) == 2
    checks.expect(once, f"the old owner's MAC, and then only the new one's: {voices}")


def _hand_over(stage: Stage, address: str, checks: Checks) -> None:
    """Let blue allocate the address, as soon as it is free, and give it to blue-1."""
    blue = stage.tenants[BLUE]
    old = next(one for one in blue.get("/v1/eips")["items"] if one["name"] == eip_of("blue-1"))
    blue.delete(f"/v1/eips/{old['id']}/association?wait=realized")
    started = time.monotonic()
    free = within(lambda: _allocated(blue, address), seconds=PATIENCE_S)
    took = (time.monotonic() - started) * 1000
    say(f"  {address} is blue's {took:.0f} ms later")
    checks.expect(free, "a released address is free as soon as nobody answers for it")
    words = ("eip", "associate", eip_of(_AGAIN), "--port", "blue-1", "--wait")
    stage.site.vpcctl(BLUE, *words)


def _allocated(api: Api, address: str) -> bool:
    """Try to allocate this address; it is refused while somebody may still answer for it."""
    network = api.get("/v1/external-networks")["items"][0]["id"]
    body = {"name": eip_of(_AGAIN), "external_network_id": network, "address": address}
    try:
        api.post("/v1/eips", body)
    except ApiError as error:
        if error.status != 409:
            raise
        return False
    return True


def _expect_old_is_dead(stage: Stage, checks: Checks) -> None:
    """Wait until the old connection has tried again; nothing may have come back to it."""
    outside = stage.visitors["outside"]
    tcp, udp, _ = outside.held()
    within(lambda: bool(outside.held()[2]), seconds=_RETRIED_S)
    now, now_udp, ended = outside.held()
    say(f"  the old connection: {ended or 'tries on'}, {now - tcp} bytes came back since;")
    say(f"  datagrams from the old socket: {now_udp - udp} came back since")
    checks.expect(ended in ("", "ECONNRESET"), f"the old connection is unknown or reset: {ended}")
    checks.expect((now, now_udp) == (tcp, udp), "who has the address now answers none of the old")
