"""A whole zone, read from its line some ports at a time.

All of it at once takes five times the memory of the line, of which much is not given back: what is
kept of it stands among what is not.
"""

import json
from collections.abc import Iterator
from typing import Any

_AT_ONCE = 100
"""Ports: a millisecond's work."""
_SPACE = " \t\r\n"


def parts(line: str) -> Iterator[tuple[str, Any]]:
    """Give the members of a document in turn; its ``ports`` once or more, some of them each.

    Raises:
        ValueError: the line is no such document.
    """
    document = _Reader(line)
    for name in document.members():
        if name != "ports":
            yield name, document.value()
            continue
        some: dict[str, Any] = {}
        for id in document.members():
            some[id] = document.value()
            if len(some) == _AT_ONCE:
                yield name, some
                some = {}
        yield name, some


class _Reader:
    """Reads JSON from the beginning on."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._decoder = json.JSONDecoder()

    def value(self) -> Any:
        """Return the value that is next.

        Raises:
            ValueError: there is none.
        """
        self._skip()
        value, self._at = self._decoder.raw_decode(self._text, self._at)
        return value

    def members(self) -> Iterator[str]:
        """Give the names of the object that is next; the value of each is to be read before.

        Raises:
            ValueError: there is no object, or it does not go on as one.
        """
        self._one_of("{")
        self._skip()
        if self._text.startswith("}", self._at):
            self._at += 1
            return
        while True:
            name = self.value()
            self._one_of(":")
            yield name
            if self._one_of(",}") == "}":
                return

    def _one_of(self, characters: str) -> str:
        self._skip()
        found = self._text[self._at : self._at + 1]
        if not found or found not in characters:
            raise ValueError(f"none of {characters} at {self._at}")
        self._at += 1
        return found

    def _skip(self) -> None:
        while self._text[self._at : self._at + 1] in _SPACE and self._at < len(self._text):
            self._at += 1
