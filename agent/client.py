"""The controller's API as the agent uses it: reports out, host states in."""

import ssl
from http import HTTPStatus
from typing import TypeVar

from agent import pki
from agent.channel import Channel, ChannelError
from agent.settings import Settings
from agent.wire.base import Unreadable, Wire, read, written
from agent.wire.enrollment import CertificateAnswer, CertificateRequest
from agent.wire.report import LinkReport, ReportAnswer
from agent.wire.state import HostState
from agent.wire.zones import (
    ChangedZones,
    KnownZones,
    PortMetadata,
    Sealed,
    ZoneDocument,
    unsealed,
)
from vpcctl.pki import tls
from vpcctl.pki.files import Credentials

REPORT_TIMEOUT_S = 10.0
POLL_S = 30.0
_POLL_GRACE_S = 10.0


class ClientError(Exception):
    """The controller did not answer, or not as it should; worth trying again later."""


class NotThere(ClientError):
    """The controller knows of no such thing."""


D = TypeVar("D", ZoneDocument, PortMetadata)
M = TypeVar("M", bound=Wire)


def _tls(settings: Settings) -> ssl.SSLContext | None:
    """Return the context for HTTPS; an enrolled host shows its certificate."""
    if not settings.api_url.startswith("https://"):
        return None
    ca_file = settings.api_ca
    credentials = pki.open_store(settings.state_dir).current()
    if credentials is not None and ca_file is not None:
        return tls.client_context(ca_file.read_text(), credentials)
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class Client:
    """A client of the API for one host.

    Reports, host states, and all about names have a connection each: what waits for news on one
    of them keeps nothing else waiting.
    """

    def __init__(self, settings: Settings) -> None:
        secret = settings.secret()
        self._context = _tls(settings)
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        headers["Content-Type"] = "application/json"
        self._base = f"/v1/hosts/{settings.host_id}"
        self._reports, self._states, self._names, self._renewals = (
            Channel(settings.api_url, self._context, headers) for _ in range(4)
        )

    def _channels(self) -> tuple[Channel, ...]:
        return (self._reports, self._states, self._names, self._renewals)

    def close(self) -> None:
        """Close the connections."""
        for channel in self._channels():
            channel.close()

    def use(self, credentials: Credentials) -> None:
        """Show another certificate from each connection's next request on.

        Raises:
            PkiError: the files cannot be used.
        """
        if self._context is not None:
            tls.load_credentials(self._context, credentials)
            for channel in self._channels():
                channel.renew()

    async def renew(self, csr: str) -> CertificateAnswer:
        """Ask for the host's next certificate.

        Raises:
            ClientError: no usable answer.
        """
        body = written(CertificateRequest(csr=csr))
        _, answer = await _send(self._renewals, "POST", f"{self._base}/certificate", body)
        self._renewals.close()  # it is months until the next one
        return _read(CertificateAnswer, answer, "certificate")

    async def report(self, report: LinkReport) -> ReportAnswer:
        """Send a report.

        Raises:
            ClientError: no usable answer.
        """
        body = written(report)
        path = f"{self._base}/reports"
        _, answer = await _send(self._reports, "POST", path, body)
        return _read(ReportAnswer, answer, "answer to a report")

    async def zones(self, known: dict[str, int], wait_s: float) -> dict[str, int]:
        """Wait until a zone has another revision than *known*, for up to *wait_s* seconds.

        Returns:
            The revisions of those that have, by VPC.

        Raises:
            ClientError: no usable answer.
        """
        path = f"{self._base}/zones?timeout={wait_s}"
        body = written(KnownZones(known=known))
        status, answer = await _send(self._names, "POST", path, body, wait_s + _POLL_GRACE_S)
        if status == HTTPStatus.NO_CONTENT:
            return {}
        return _read(ChangedZones, answer, "zones").changed

    async def zone(self, vpc_id: str, since: int) -> Sealed[ZoneDocument] | None:
        """Return a VPC's zone, or what has changed since the one at revision *since*.

        Returns:
            None: no guest of it is here any more.

        Raises:
            ClientError: no usable answer.
        """
        return await self._document(f"{self._base}/zones/{vpc_id}?since={since}", ZoneDocument)

    async def metadata(self, port_id: str) -> Sealed[PortMetadata] | None:
        """Return what a port's owner has said for it; None: it is not here any more.

        Raises:
            ClientError: no usable answer.
        """
        return await self._document(f"{self._base}/guests/{port_id}", PortMetadata)

    async def _document(self, path: str, model: type[D]) -> Sealed[D] | None:
        try:
            _, answer = await _send(self._names, "GET", path)
        except NotThere:
            return None
        try:
            return unsealed(model, answer)
        except Unreadable as error:
            raise ClientError(f"unreadable document {path}: {error}") from error

    async def state(self, after: int, wait_s: float) -> HostState | None:
        """Wait until the host state is newer than revision *after*, for up to *wait_s* seconds.

        Returns:
            The state, or None when nothing changed.

        Raises:
            ClientError: no usable answer.
        """
        path = f"{self._base}/state?after={after}&timeout={wait_s}"
        status, answer = await _send(self._states, "GET", path, None, wait_s + _POLL_GRACE_S)
        return None if status == HTTPStatus.NO_CONTENT else _read(HostState, answer, "host state")


async def _send(
    channel: Channel,
    method: str,
    path: str,
    body: bytes | None = None,
    timeout_s: float = REPORT_TIMEOUT_S,
) -> tuple[int, bytes]:
    """Return the status, which is one of success, and the body of an answer.

    Raises:
        ClientError: no answer, or another one; NotThere where the controller says so.
    """
    try:
        status, answer = await channel.request(method, path, body, timeout_s)
    except ChannelError as error:
        raise ClientError(f"{method} {path}: {error}") from error
    if 200 <= status < 300:
        return status, answer
    kind = NotThere if status == HTTPStatus.NOT_FOUND else ClientError
    raise kind(f"{method} {path}: {status} {answer[:200].decode(errors='replace')}")


def _read(model: type[M], answer: bytes, what: str) -> M:
    try:
        return read(model, answer)
    except Unreadable as error:
        raise ClientError(f"unreadable {what}: {error}") from error
