"""Enrolment: how a machine with a one-time token becomes a host.

The token carries the fingerprint of the authority. The agent fetches the authority's certificate
over a connection that it does not trust yet, compares the fingerprint, and only then sends the
token, over a second connection that it verifies against that authority. The private key is made
here and never leaves the machine.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

import httpx

from agent import pki, renewal
from agent.wire.base import Unreadable, read, written
from agent.wire.enrollment import (
    AuthorityAnswer,
    EnrollAnswer,
    EnrollRequest,
)
from vpcctl.pki import certificates, csr, files, keys, tls
from vpcctl.pki.errors import PkiError
from vpcctl.pki.files import Credentials, Material
from vpcctl.wire.enrollment_token import EnrollmentToken

MAX_ANSWER = 65_536
TIMEOUT_S = 20.0


class EnrollmentError(Exception):
    """The machine could not be enrolled; the text is one sentence for an operator."""


@dataclass(frozen=True, slots=True)
class EnrollmentPaths:
    """Where enrolment writes to.

    Attributes:
        state_dir: the agent's state directory; the credentials go to ``pki`` below it.
        token_file: the host's bearer token, 0600.
    """

    state_dir: Path
    token_file: Path


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What the machine is now: the host's id and its credentials on disk."""

    host_id: str
    credentials: Credentials


def enroll(api: str, token_text: str, paths: EnrollmentPaths) -> Enrolled:
    """Enrol this machine.

    Args:
        api: base URL of the controller, ``https://…``.
        token_text: the token that ``vpcctl host enroll`` showed.
        paths: where to write what the host needs from now on.

    Raises:
        EnrollmentError: the token is malformed or refused, the controller cannot be reached, it
            is not the one that the token was made by, its answer cannot be used, or the disk
            takes no files. What was there before stays, unless the disk failed half way.
    """
    token = EnrollmentToken.parse(token_text.strip())
    if token is None:
        raise EnrollmentError("that is not an enrolment token of 'vpcctl host enroll'")
    if not api.startswith("https://"):
        raise EnrollmentError(f"enrolment needs an https:// URL, not '{api}'")
    try:
        authority = _fetch_authority(api, token)
        _make_places(paths)
        key = keys.new_key()
        answer = _request(api, authority, token, key)
        renewal.check_answer(answer, key, ca_fingerprint=token.ca_fingerprint)
        return _write(answer, key, paths)
    except httpx.HTTPError as error:
        raise EnrollmentError(f"cannot talk to {api}: {error}") from error
    except PkiError as error:
        raise EnrollmentError(str(error)) from error
    except OSError as error:
        raise EnrollmentError(f"cannot write {error.filename}: {error.strerror}") from error


def _fetch_authority(api: str, token: EnrollmentToken) -> str:
    """Return the authority's certificate, PEM, once its fingerprint is the token's."""
    with _client(api, tls.unverified_context()) as client:
        body = _call(client, "GET", "/v1/ca", None)
    try:
        pem = read(AuthorityAnswer, body).ca_certificate
    except Unreadable as error:
        raise EnrollmentError(f"{api} does not answer like a vpcctl controller") from error
    certificate = certificates.from_pem(pem)
    if not certificates.has_fingerprint(certificate, token.ca_fingerprint):
        raise EnrollmentError(
            f"{api} is not the controller that made this token: its authority has another "
            "fingerprint; somebody may be in between. Nothing was sent to it"
        )
    # Written anew: only this one certificate is trusted, whatever else the text contained.
    return certificates.to_pem(certificate)


def _request(
    api: str, authority: str, token: EnrollmentToken, key: keys.PrivateKey
) -> EnrollAnswer:
    request = EnrollRequest(token=str(token), csr=csr.make_csr(key, "vpc-agent"))
    with _client(api, tls.client_context(authority)) as client:
        body = _call(client, "POST", "/v1/enroll", written(request))
    try:
        return read(EnrollAnswer, body)
    except Unreadable as error:
        raise EnrollmentError(f"{api} does not answer like a vpcctl controller") from error


def _client(api: str, context: ssl.SSLContext) -> httpx.Client:
    # trust_env: a proxy or an authority from the environment has no place in this conversation.
    return httpx.Client(base_url=api, verify=context, timeout=TIMEOUT_S, trust_env=False)


def _call(client: httpx.Client, method: str, path: str, content: bytes | None) -> bytes:
    """Return the body of a good answer, read up to a limit: the far side may be anybody."""
    headers = {} if content is None else {"content-type": "application/json"}
    with client.stream(method, path, content=content, headers=headers) as response:
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MAX_ANSWER:
                raise EnrollmentError(f"the answer to {method} {path} is too long")
    if not response.is_success:
        raise EnrollmentError(f"the controller refused: {_reason(response, bytes(body))}")
    return bytes(body)


def _reason(response: httpx.Response, body: bytes) -> str:
    """Return a problem document's detail, or the status where there is none."""
    try:
        detail = httpx.Response(200, content=body).json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = None
    return detail if isinstance(detail, str) else f"HTTP status {response.status_code}"


def _make_places(paths: EnrollmentPaths) -> None:
    """Make the directories before the token is spent: it works only once."""
    files.make_private_directory(paths.state_dir / "pki")
    paths.token_file.parent.mkdir(mode=files.PRIVATE_DIRECTORY, parents=True, exist_ok=True)


def _write(answer: EnrollAnswer, key: keys.PrivateKey, paths: EnrollmentPaths) -> Enrolled:
    token = f"{answer.host_token}\n".encode()
    files.write_atomically(paths.token_file, token, mode=files.PRIVATE_FILE)
    material = Material(keys.key_to_pem(key), answer.certificate, answer.ca_certificate)
    credentials = pki.open_store(paths.state_dir).install(material)
    pki.about(credentials)  # noted here, so that the agent need not read the certificate
    return Enrolled(answer.host_id, credentials)
