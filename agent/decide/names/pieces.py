"""Documents as lines of JSON, so that the process that answers can read a long zone in pieces."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_LONG = {"ports": 100, "records": 20}
"""What there may be many of, and how many a line has: half a millisecond to take in."""


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a document: the first has all but what there is much of."""
    much = {name: document[name] for name in _LONG if name in document}
    yield json.dumps({**document, **{name: [] for name in much}})
    for name, each in much.items():
        size = _LONG[name]
        for at in range(0, len(each), size):
            yield json.dumps({name: each[at : at + size]})


def joined(text: Iterable[str]) -> dict[str, Any]:
    """Return the document that lines make up.

    Raises:
        ValueError: they are no document's.
    """
    document: dict[str, Any] = {}
    for line in text:
        part = json.loads(line)
        if not isinstance(part, dict):
            raise ValueError("a line is no object")
        if not document:
            document = dict(part)
            continue
        for name in _LONG:
            document.setdefault(name, []).extend(part.get(name, ()))
    return document
