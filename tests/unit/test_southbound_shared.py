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
        one.put(piece, encoded)  # type: ignore[arg-type]
        return one.get(piece) is encoded  # type: ignore[arg-type]

    return asyncio.run(main())


def test_what_hosts_have_in_common_is_kept_and_nothing_else() -> None:
    assert kept(PIECE, BYTES)
    assert not kept(EdgePiece("host-1", "port-1"), BYTES)
    assert not kept(PIECE, Encoded(b"abc", 1, 1, (Meter(4, "kbps", 1, 1),)))
    assert not kept(PIECE, Encoded(bytes(65 << 20), 1, 1))


def test_an_audit_compares_with_nothing_remembered() -> None:
    one = shared.Shared(0)
    one.put(PIECE, BYTES)
    one.put(PIECE, Encoded(b"", 0, 1))
    assert one.get(PIECE) is None


def test_everything_is_forgotten_some_time_after_the_first_was_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        one = shared.Shared()
        monkeypatch.setattr(shared, "_KEPT_S", 0.0)
        one.put(PIECE, BYTES)
        assert one.get(PIECE) is BYTES
        while one.get(PIECE) is not None:
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(main(), 10))


def test_what_has_changed_is_forgotten() -> None:
    async def main() -> None:
        one = shared.Shared()
        one.put(PIECE, BYTES)
        one.drop((PortPiece("port-2"),))
        assert one.get(PIECE) is BYTES
        one.drop((PIECE,))
        assert one.get(PIECE) is None

    asyncio.run(main())


def test_what_it_takes_is_bounded_objects_included() -> None:
    async def main() -> None:
        one = shared.Shared(10_000)
        pieces = [PortPiece(f"port-{number}") for number in range(100)]
        for piece in pieces:
            one.put(piece, Encoded(b"", 0, 1))
        assert 0 < sum(one.get(piece) is not None for piece in pieces) < 20
        one.drop(pieces)
        one.put(PIECE, Encoded(bytes(9_000), 1, 1))
        assert one.get(PIECE) is not None

    asyncio.run(main())
