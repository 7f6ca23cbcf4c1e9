"""ETag and If-Match (RFC 9110, sections 8.8.3 and 13.1.1) over revisions."""

import re

from api.problems import Malformed
from vpcctl.model.problems import Stale

_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*')
_REVISION = re.compile(r"[0-9]{1,18}")


def etag(revision: int) -> str:
    """Return the entity tag of *revision*."""
    return f'"{revision}"'


def if_match(header: str | None) -> tuple[int, ...] | None:
    """Return the revisions that an If-Match header accepts; None: any.

    A weak tag never matches, as If-Match compares strongly; a tag that is no revision of ours
    never matches either.

    Raises:
        Malformed: the header is not a list of entity tags.
        Stale: no tag in it can ever match.
    """
    if header is None or header.strip() == "*":
        return None
    revisions: list[int] = []
    for part in header.split(","):
        match = _TAG.fullmatch(part)
        if match is None:
            raise Malformed(
                "If-Match is not a list of entity tags", field="If-Match", accepted='"<revision>"'
            )
        if match[1] is None and _REVISION.fullmatch(match[2]):
            revisions.append(int(match[2]))
    if not revisions:
        raise Stale(
            "no tag in If-Match is the present one", field="If-Match", accepted="the present ETag"
        )
    return tuple(revisions)
