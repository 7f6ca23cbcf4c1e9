"""The controller's API as the agent uses it: reports out, host states in."""

import ssl
from typing import Any, TypeVar

import httpx
from pydantic import ValidationError

from agent import pki
from agent.channel import CONNECT_TIMEOUT_S, Channel, ChannelError
from agent.settings import Settings
from vpcctl.pki import tls
from vpcctl.pki.files import Credentials
from vpcctl.wire.enrollment import CertificateAnswer, CertificateRequest
from vpcctl.wire.report import LinkReport, ReportAnswer
from vpcctl.wire.state import HostState
from vpcctl.wire.zones import (
    ChangedZones,
    KnownZones,
    PortMetadata,
    ZoneDocument,
    digest_of,
)

REPORT_TIMEOUT_S = 10.0
POLL_S = 30.0
_POLL_GRACE_S = 10.0


class ClientError(Exception):
    """The controller did not answer, or not as it should; worth trying again later."""


class NotThere(ClientError):
    """The controller knows of no such thing."""


D = TypeVar("D", ZoneDocument, PortMetadata)


def _endpoint(settings: Settings, context: ssl.SSLContext | None) -> dict[str, Any]:
    """Return httpx arguments for the API's address."""
    url = settings.api_url
    if url.startswith("unix:"):
        transport = httpx.AsyncHTTPTransport(uds=url.removeprefix("unix:"))
        return {"base_url": "http://localhost", "transport": transport}
    if url.startswith("https://"):
        return {"base_url": url, "verify": context}
    return {"base_url": url}


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
    """A client of the API for one host."""

    def __init__(self, settings: Settings) -> None:
        secret = settings.secret()
        self._context = _tls(settings)
        self._renewed = False  # the connection for reports still shows the old certificate
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        headers["Content-Type"] = "application/json"
        self._base = f"/v1/hosts/{settings.host_id}"
        self._channel = Channel(settings.api_url, self._context, headers)
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(REPORT_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            trust_env=False,
            **_endpoint(settings, self._context),
        )

    async def close(self) -> None:
        """Close the connections."""
        self._channel.close()
        await self._http.aclose()

    def use(self, credentials: Credentials) -> None:
        """Show another certificate from the next connection on.

        Raises:
            PkiError: the files cannot be used.
        """
        if self._context is not None:
            tls.load_credentials(self._context, credentials)
            self._renewed = True

    async def renew(self, csr: str) -> CertificateAnswer:
        """Ask for the host's next certificate.

        Raises:
            ClientError: no usable answer.
        """
        body = CertificateRequest(csr=csr).model_dump_json()
        response = await self._send("POST", f"{self._base}/certificate", content=body)
        try:
            return CertificateAnswer.model_validate_json(response.content)
        except ValidationError as error:
            raise ClientError(f"unreadable certificate: {_brief(error)}") from error

    async def report(self, report: LinkReport) -> ReportAnswer:
        """Send a report.

        Raises:
            ClientError: no usable answer.
        """
        body = report.model_dump_json(exclude_none=True).encode()
        path = f"{self._base}/reports"
        if self._renewed:
            self._channel.close()
            self._renewed = False
        try:
            status, answer = await self._channel.post(path, body, REPORT_TIMEOUT_S)
        except ChannelError as error:
            raise ClientError(f"POST {path}: {error}") from error
        if status != httpx.codes.OK:
            raise ClientError(f"POST {path}: {status} {answer[:200].decode(errors='replace')}")
        try:
            return ReportAnswer.model_validate_json(answer)
        except ValidationError as error:
            raise ClientError(f"unreadable answer to a report: {_brief(error)}") from error

    async def zones(self, known: dict[str, int], wait_s: float) -> dict[str, int]:
        """Wait until a zone has another revision than *known*, for up to *wait_s* seconds.

        Returns:
            The revisions of those that have, by VPC.

        Raises:
            ClientError: no usable answer.
        """
        path, body = f"{self._base}/zones", KnownZones(known=known).model_dump_json()
        timeout = httpx.Timeout(wait_s + _POLL_GRACE_S, connect=CONNECT_TIMEOUT_S)
        query = {"timeout": wait_s}
        response = await self._send("POST", path, content=body, params=query, timeout=timeout)
        if response.status_code == httpx.codes.NO_CONTENT:
            return {}
        try:
            return ChangedZones.model_validate_json(response.content).changed
        except ValidationError as error:
            raise ClientError(f"unreadable zones: {_brief(error)}") from error

    async def zone(self, vpc_id: str, since: int) -> ZoneDocument | None:
        """Return a VPC's zone, or what has changed since the one at revision *since*.

        Returns:
            None: no guest of it is here any more.

        Raises:
            ClientError: no usable answer.
        """
        return await self._document(f"{self._base}/zones/{vpc_id}?since={since}", ZoneDocument)

    async def metadata(self, port_id: str) -> PortMetadata | None:
        """Return what a port's owner has said for it; None: it is not here any more.

        Raises:
            ClientError: no usable answer.
        """
        return await self._document(f"{self._base}/guests/{port_id}", PortMetadata)

    async def _document(self, path: str, model: type[D]) -> D | None:
        try:
            response = await self._send("GET", path)
        except NotThere:
            return None
        try:
            document = model.model_validate_json(response.content)
        except ValidationError as error:
            raise ClientError(f"unreadable document {path}: {_brief(error)}") from error
        if document.digest != digest_of(document):
            raise ClientError(f"document {path} is damaged")
        return document

    async def state(self, after: int, wait_s: float) -> HostState | None:
        """Wait until the host state is newer than revision *after*, for up to *wait_s* seconds.

        Returns:
            The state, or None when nothing changed.

        Raises:
            ClientError: no usable answer.
        """
        params = {"after": after, "timeout": wait_s}
        response = await self._send(
            "GET", f"{self._base}/state", params=params, timeout=wait_s + _POLL_GRACE_S
        )
        if response.status_code == httpx.codes.NO_CONTENT:
            return None
        try:
            return HostState.model_validate_json(response.content)
        except ValidationError as error:
            raise ClientError(f"unreadable host state: {_brief(error)}") from error

    async def _send(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        try:
            response = await self._http.request(method, path, **kwargs)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise ClientError(f"{method} {path}: {error or type(error).__name__}") from error
        if response.is_success:
            return response
        missing = response.status_code == httpx.codes.NOT_FOUND
        kind = NotThere if missing else ClientError
        raise kind(f"{method} {path}: {response.status_code} {response.text[:200]}")


def _brief(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}"
