"""Reading and writing of documents."""

from ipaddress import IPv4Network
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class Wire(msgspec.Struct, frozen=True, gc=False):
    """A document, or a part of one; what it says that is not known here is passed over.

    Such trees have no cycles, so the garbage collector need not look through them.
    """


class Unreadable(ValueError):
    """A document is not what it should be; the text says where and why."""


def exactly(pattern: str) -> str:
    """Return a pattern that ends with ``$`` so that no line end may follow."""
    return pattern.removesuffix("$") + r"\Z"


def read(kind: type[T], document: bytes | str) -> T:
    """Return what a document says.

    Raises:
        Unreadable: it is none of that kind.
    """
    try:
        return msgspec.json.decode(document, type=kind, dec_hook=_made)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from error


def written(document: Wire) -> bytes:
    """Return a document as JSON: members in order, and nothing in between."""
    return msgspec.json.encode(document, enc_hook=str)


def _made(kind: type, value: Any) -> Any:
    """Return what is a text in JSON as what it is here.

    Raises:
        ValueError: it is none.
    """
    if kind is not IPv4Network:
        raise NotImplementedError(kind)
    return IPv4Network(value)
