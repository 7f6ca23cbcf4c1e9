"""Long answers go out in parts of one TLS record each."""

import asyncio

import pytest
from starlette.types import Message

from api.long_answers import PART, LongAnswer


def sent(text: str) -> list[Message]:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    asyncio.run(LongAnswer(text)({"type": "http"}, receive, send))
    return messages


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 5 * PART])
def test_parts_make_the_whole(size: int) -> None:
    text = "".join(chr(97 + index % 26) for index in range(size))
    head, *parts = sent(text)
    assert head["status"] == 200
    assert (b"content-length", str(size).encode()) in head["headers"]
    assert (b"content-type", b"application/json") in head["headers"]
    assert b"".join(part["body"] for part in parts) == text.encode()
    assert [part["more_body"] for part in parts] == [True] * (len(parts) - 1) + [False]
    assert all(len(part["body"]) <= PART for part in parts)
