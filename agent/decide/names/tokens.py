"""Session tokens of the metadata service: nothing is kept of them but one secret."""

import base64
import binascii
import hashlib
import hmac
import struct

MAX_TTL_S = 21_600
"""Six hours, as in AWS."""
_SAID = struct.Struct("!IQ")
_PROOF = 16


class Tokens:
    """Makes and checks tokens; each is one port's alone.

    Args:
        secret: what proves that a token is ours.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, key: int, expires: float) -> str:
        """Return a token of the port with *key* that is good until *expires*, Unix time."""
        said = _SAID.pack(key, int(expires))
        return base64.urlsafe_b64encode(said + self._proof(said)).decode().rstrip("=")

    def is_good(self, token: str, key: int, now: float) -> bool:
        """Tell whether a token is this port's and still good."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
        except (ValueError, binascii.Error):
            return False
        if len(raw) != _SAID.size + _PROOF:
            return False
        said, proof = raw[: _SAID.size], raw[_SAID.size :]
        if not hmac.compare_digest(proof, self._proof(said)):
            return False
        owner, expires = _SAID.unpack(said)
        return owner == key and now < expires

    def _proof(self, said: bytes) -> bytes:
        return hmac.new(self._secret, said, hashlib.sha256).digest()[:_PROOF]
