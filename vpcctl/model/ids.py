"""Identifiers that say what they are: ``vpc-…``, ``subnet-…``, ``port-…``, ``host-…``."""

import re
import uuid
from typing import Literal, get_args

Kind = Literal[
    "vpc",
    "subnet",
    "port",
    "host",
    "sg",
    "sgr",
    "ag",
    "nacl",
    "dopt",
    "ext",
    "igw",
    "nat",
    "fwd",
    "eip",
    "rtb",
    "zone",
    "rec",
]

KINDS: tuple[Kind, ...] = get_args(Kind)
_SUFFIX = r"[0-9a-f]{17}"
PATTERNS: dict[Kind, str] = {kind: rf"^{kind}-{_SUFFIX}$" for kind in KINDS}
_COMPILED = {kind: re.compile(rf"{kind}-{_SUFFIX}") for kind in KINDS}


def new_id(kind: Kind) -> str:
    """Return a fresh random id of *kind*, such as ``port-0a1b2c3d4e5f60718``."""
    return f"{kind}-{uuid.uuid4().hex[:17]}"


def is_id(kind: Kind, text: str) -> bool:
    """Tell whether *text* is a well-formed id of *kind*."""
    return _COMPILED[kind].fullmatch(text) is not None
