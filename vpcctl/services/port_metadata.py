"""What ports' owners say for their guests: user data, keys, and whether tokens are asked for."""

import base64
import binascii
import re
import secrets
from typing import Any, cast

from vpcctl.model.problems import Invalid
from vpcctl.services import rules
from vpcctl.services.views import UNSET, PortMetadataChange, PortMetadataView, Tokens
from vpcctl.store import port_metadata
from vpcctl.store.tables import PortMetadataRow
from vpcctl.store.units import Unit

MAX_USER_DATA = 16_384
"""User data, bytes, before base64; as in AWS."""
MAX_KEYS, MAX_KEY = 16, 4_096
_KEY = re.compile(r"[a-z0-9@.-]{1,64} [A-Za-z0-9+/]{16,}={0,3}( [\x20-\x7e]{1,256})?")


NOTHING = PortMetadataView()


def columns(values: PortMetadataChange) -> dict[str, Any]:
    """Return the columns that a change sets.

    Raises:
        Invalid: naming the field.
    """
    found: dict[str, Any] = {}
    if values.user_data is not UNSET:
        found["user_data"] = None if values.user_data is None else _user_data(values.user_data)
    if values.public_keys is not UNSET:
        found["public_keys"] = _keys(values.public_keys)
    if values.metadata_tokens is not UNSET:
        found["metadata_tokens"] = values.metadata_tokens
    return found


def write(unit: Unit, port_id: str, asked: dict[str, Any]) -> None:
    """Write down what is asked for; a port for which nothing is said has no row."""
    if not asked:
        return
    row = port_metadata.get(unit.connection, port_id)
    before = shown(row)
    values: dict[str, Any] = {
        "user_data": before.user_data,
        "public_keys": list(before.public_keys),
        "metadata_tokens": before.metadata_tokens,
        **asked,
    }
    # Drawn, not counted: a database restored from an older copy gets to the same revision with
    # other metadata, which hosts would not fetch.
    port_metadata.put(unit.connection, port_id, {**values, "revision": secrets.randbits(63) or 1})


def drop(unit: Unit, port_id: str) -> None:
    """Forget what was said for a port that goes."""
    port_metadata.drop(unit.connection, port_id)


def shown(row: PortMetadataRow | None) -> PortMetadataView:
    """Return what a row says."""
    if row is None:
        return NOTHING
    return PortMetadataView(
        row.user_data, tuple(row.public_keys), cast("Tokens", row.metadata_tokens)
    )


def _user_data(text: str) -> str:
    try:
        raw = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raw = None
    if raw is None or len(raw) > MAX_USER_DATA:
        raise Invalid(
            "The user data are no base64, or too long.",
            field="user_data",
            accepted=f"at most {MAX_USER_DATA} bytes in base64, or null",
        )
    return base64.b64encode(raw).decode()


def _keys(texts: tuple[str, ...]) -> list[str]:
    if len(texts) > MAX_KEYS:
        raise Invalid(
            f"There are {len(texts)} keys.",
            field="public_keys",
            accepted=f"at most {MAX_KEYS} keys",
        )
    for at, text in enumerate(texts):
        if len(text) > MAX_KEY or not _KEY.fullmatch(text):
            raise Invalid(
                f"{rules.printable(text)} is no public key.",
                field=f"public_keys.{at}",
                accepted="a line of OpenSSH's form, such as ssh-ed25519 AAAA… me@here",
            )
    return list(dict.fromkeys(texts))
