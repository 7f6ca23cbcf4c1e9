"""What is remembered of pieces, for whom and for how long."""

import asyncio

import pytest

from vpcctl.flows.meter import Meter
from vpcctl.pipeline.pieces import EdgePiece, PortPiece
from vpcctl.southbound import shared
from vpcctl.southbound.encoded import Encoded

PIECE = PortPiece("port-1")
BYTES = Encoded(b"abc", 1, 1)


def kept(piece: object, encoded: Encoded) -> bool:
    async def main() -> bool:
        one = shared.Shared()
        one.enter()
        one.put(piece, encoded)  # type: ignore[arg-type]
        return one.get(piece) is encoded  # type: ignore[arg-type]

    return asyncio.run(main())


def test_what_hosts_have_in_common_is_kept_and_nothing_else() -> None:
    assert kept(PIECE, BYTES)
    assert not kept(EdgePiece("host-1", "port-1"), BYTES)
    assert not kept(PIECE, Encoded(b"abc", 1, 1, (Meter(4, "kbps", 1, 1),)))
    assert not kept(PIECE, Encoded(bytes(65 << 20), 1, 1))


def test_an_audit_compares_with_nothing_remembered() -> None:
    one = shared.Shared()
    one.put(PIECE, BYTES)
    assert one.get(PIECE) is None


def test_it_is_there_for_the_next_switch_until_nobody_came_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        one = shared.Shared()
        one.enter()
        one.put(PIECE, BYTES)
        monkeypatch.setattr(shared, "_REST_S", 3600.0)
        one.leave()
        one.enter()
        assert one.get(PIECE) is BYTES
        monkeypatch.setattr(shared, "_REST_S", 0.0)
        one.leave()
        while one.get(PIECE) is not None:
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(main(), 10))


def test_what_has_changed_is_forgotten() -> None:
    async def main() -> None:
        one = shared.Shared()
        one.enter()
        one.put(PIECE, BYTES)
        one.drop((PortPiece("port-2"),))
        assert one.get(PIECE) is BYTES
        one.drop((PIECE,))
        assert one.get(PIECE) is None

    asyncio.run(main())
