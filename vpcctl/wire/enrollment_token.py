"""The text of an enrolment token, which operators carry from the controller to a host."""

import re
from dataclasses import dataclass

_TOKEN = re.compile(r"(enroll-[0-9a-f]{17})\.([A-Za-z0-9_-]{43})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class EnrollmentToken:
    """The three parts of an enrolment token.

    Attributes:
        enrollment_id: ``enroll-…``, the enrolment that it belongs to.
        secret: 256 random bits, URL-safe base64; the controller keeps a hash only.
        ca_fingerprint: SHA-256 of the authority's certificate (DER), lower-case hexadecimal: by
            it the agent knows the controller before it sends anything.
    """

    enrollment_id: str
    secret: str
    ca_fingerprint: str

    @classmethod
    def parse(cls, text: str) -> "EnrollmentToken | None":
        """Return the parts of *text*; None when it is not an enrolment token."""
        match = _TOKEN.fullmatch(text)
        return None if match is None else cls(*match.groups())

    def __str__(self) -> str:
        return f"{self.enrollment_id}.{self.secret}.{self.ca_fingerprint}"

    def __repr__(self) -> str:
        # A traceback or a log line must not carry the secret.
        return f"EnrollmentToken({self.enrollment_id!r})"
