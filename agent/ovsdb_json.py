"""JSON from ovsdb-server, parsed by the standard library.

The library for OVSDB parses JSON in Python, one character after the other, unless its C extension
was built with it: milliseconds for the few hundred bytes that a plugged interface makes, seconds
for a host full of them. This parser takes the same calls and only looks for where a text ends.
"""

import json
import re
from typing import Any

_DECODER = json.JSONDecoder()
_MARK = re.compile(r'\\.|[\\"{}\[\]]', re.DOTALL)
"""What matters for that: brackets, quotes, and what a backslash makes harmless."""


class Parser:
    """Takes one JSON text piece by piece, as ``ovs.json.Parser`` does.

    Args:
        check_trailer: not used; what comes after the text is never taken.
    """

    def __init__(self, check_trailer: bool = False) -> None:
        self._pieces: list[str] = []
        self._value: Any = None
        self._depth = 0
        self._quoted = False
        self._escaped = False
        self._done = False

    def feed(self, text: str) -> int:
        """Take what belongs to the text from the begin of *text*; return its length."""
        if not self._pieces and (end := self._whole(text)):
            return end
        start = 1 if self._escaped and text else 0
        self._escaped = self._escaped and not text
        for mark in _MARK.finditer(text, start):
            if self._step(mark[0]):
                self._done = True
                self._pieces.append(text[: mark.end()])
                return mark.end()
        self._pieces.append(text)
        if not self._depth and text.strip():
            self._done = True  # no object or array: nothing that JSON-RPC knows
        return len(text)

    def _whole(self, text: str) -> int:
        """Take the text if all of it has come at once, as it mostly does; return its length."""
        try:
            value, end = _DECODER.raw_decode(text)
        except (ValueError, RecursionError):
            return 0
        if not isinstance(value, dict):
            return 0
        self._value, self._done = value, True
        return end

    def _step(self, mark: str) -> bool:
        """Go past a mark; tell whether the text ends with it."""
        if mark[0] == "\\":
            self._escaped = len(mark) == 1  # what it escapes is in the next piece
        elif mark == '"':
            self._quoted = not self._quoted
        elif not self._quoted:
            self._depth += 1 if mark in "{[" else -1
            return self._depth <= 0
        return False

    def is_done(self) -> bool:
        """Tell whether the text is whole, or cannot become so."""
        return self._done

    def finish(self) -> Any:
        """Return the value; a string, which no message is, says what is wrong."""
        if self._value is not None:
            return self._value
        try:
            return json.loads("".join(self._pieces))
        except (ValueError, RecursionError) as error:
            return f"not JSON: {error}"
