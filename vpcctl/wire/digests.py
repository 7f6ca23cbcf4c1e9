"""What both sides of link reports reckon alike: how many links there are, and digests of texts."""

import hashlib

MAX_LINKS = 8192
"""Of a report."""
_MODULUS = 1 << 256


def part(kind: bytes, text: bytes) -> int:
    """Return what a text adds to a digest.

    Args:
        kind: of the part: equal texts of two kinds are different parts.
        text: JSON, its members in order and nothing in between.
    """
    return int.from_bytes(hashlib.sha256(kind + text).digest(), "big")


def as_digest(total: int) -> str:
    """Return the digest of which *total* is the sum of parts."""
    return f"{total % _MODULUS:064x}"
