"""The REST API as the commands use it."""

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vpcctl.cli.errors import CliError, Exit, exit_for_status
from vpcctl.cli.fields import Names, name_of
from vpcctl.cli.target import Target
from vpcctl.model import ids

if TYPE_CHECKING:
    import httpx

Json = dict[str, Any]
Query = dict[str, str | list[str]]
_TRIES = 3
_MOST_NAMED = 10
_NAMES: dict[ids.Kind, str] = {
    "vpc": "VPC",
    "dopt": "set of DHCP options",
    "rec": "DNS record",
    "sg": "security group",
    "ag": "address group",
    "nacl": "network ACL",
    "rtb": "route table",
    "igw": "internet gateway",
    "nat": "NAT gateway",
    "ext": "external network",
    "eip": "EIP",
}
_PLURALS: dict[ids.Kind, str] = {
    "dopt": "dhcp-options",
    "rec": "dns-records",
    "sg": "security-groups",
    "ag": "address-groups",
    "nacl": "network-acls",
    "rtb": "route-tables",
    "igw": "internet-gateways",
    "nat": "nat-gateways",
    "ext": "external-networks",
    "eip": "eips",
}


class Client:
    """One connection to the API. Raises :class:`CliError` for whatever goes wrong.

    Args:
        target: where the API is, and whose token is used.
        timeout_s: seconds that an answer may take.
        names: what the user knows fields of requests by; requests may know better.
    """

    def __init__(
        self, target: Target, *, timeout_s: float = 30.0, names: Names | None = None
    ) -> None:
        # Imported late: completion and --help should not wait for it.
        import httpx

        self._target = target
        self._names = names or {}
        self._http = httpx.Client(
            base_url=target.base_url,
            transport=httpx.HTTPTransport(uds=target.socket) if target.socket else None,
            headers={"Authorization": f"Bearer {target.token()}"},
            timeout=timeout_s,
            trust_env=False,
            verify=_verify(target),
        )
        self._retried = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)

    def get(self, path: str) -> Json:
        """Return one document."""
        return self._request("GET", path).json()

    def items(self, path: str, filters: Query | None = None) -> list[Json]:
        """Return all items of a list, over all its pages."""
        found: list[Json] = []
        query: Query = {**(filters or {}), "limit": "500"}
        while True:
            page = self._request("GET", path, query=query).json()
            found.extend(page["items"])
            if not page.get("next_cursor"):
                return found
            query["cursor"] = page["next_cursor"]

    def create(
        self,
        path: str,
        body: Json | list[Json],
        query: Query | None = None,
        names: Names | None = None,
    ) -> Json:
        """Create a resource and return it; a lost answer does not make a second one."""
        key = {"Idempotency-Key": uuid.uuid4().hex}
        return self._request("POST", path, body=body, query=query, headers=key, names=names).json()

    def change(self, path: str, body: Json, query: Query | None = None) -> Json:
        """Change some fields of a resource and return it.

        Raises:
            CliError: no field is given.
        """
        if not body:
            raise CliError("nothing to change: give the options with the new values")
        return self._request("PATCH", path, body=body, query=query).json()

    def put(
        self, path: str, body: Json, query: Query | None = None, names: Names | None = None
    ) -> Json:
        """Replace a sub-resource and return what the API answers."""
        return self._request("PUT", path, body=body, query=query, names=names).json()

    def delete(self, path: str, query: Query | None = None) -> int | None:
        """Delete a resource and return the revision that this made."""
        revision = self._request("DELETE", path, query=query).headers.get("Vpcctl-Revision")
        return int(revision) if revision else None

    def resolve(self, kind: ids.Kind, reference: str, *, vpc_id: str | None = None) -> str:
        """Return the id of the *kind* that *reference* names by id or by unique name.

        Args:
            kind: what it is.
            reference: its id or name.
            vpc_id: the VPC in which the name is to be looked for; None: everywhere.

        Raises:
            CliError: no such name, or several.
        """
        return self._resolve(kind, reference, vpc_id, "")

    def resolve_within(self, kind: ids.Kind, reference: str, vpc: str | None) -> str:
        """Return the id as :meth:`resolve` does, for a command that has ``--vpc``.

        Args:
            kind: what it is.
            reference: its id or name.
            vpc: the id or name of the VPC in which it has to be; None: any.

        Raises:
            CliError: no such name, or several; or what has the id is not in the VPC.
        """
        vpc_id = self.resolve_given("vpc", vpc)
        found = self._resolve(kind, reference, vpc_id, "" if vpc else "; or give --vpc")
        if vpc_id is not None and found == reference:
            its_vpc = self.get(path_of(kind, found))["vpc_id"]
            if its_vpc != vpc_id:
                said = f"{found} is of {its_vpc}, not of {vpc_id}"
                raise CliError(f"--vpc: {said}; accepted: its own, or none", Exit.NOT_FOUND)
        return found

    def _resolve(self, kind: ids.Kind, reference: str, vpc_id: str | None, hint: str) -> str:
        if ids.is_id(kind, reference):
            return reference
        query: Query = {"name": reference}
        if vpc_id is not None:
            query["vpc_id"] = vpc_id
        found = self.items(path_of(kind), query)
        where = f" in {vpc_id}" if vpc_id else ""
        if not found:
            said = f"there is no {named_kind(kind)} named {reference!r}{where}"
            raise CliError(said, Exit.NOT_FOUND)
        if len(found) > 1:
            named = f"{len(found)} {named_kind(kind)}s are named {reference!r}{where}"
            listed = ", ".join(self._placed(item) for item in found[:_MOST_NAMED])
            more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
            said = f"{named}; accepted: one of {listed}{more}{hint}"
            raise CliError(said, Exit.CONFLICT)
        return found[0]["id"]

    def _placed(self, item: Json) -> str:
        """Return an item's id, with its VPC or tenant: what tells it from others of its name."""
        if vpc_id := item.get("vpc_id"):
            return f"{item['id']} (of {self.get(path_of('vpc', vpc_id))['name'] or vpc_id})"
        tenant = item.get("tenant_id")
        return f"{item['id']} (of tenant {tenant})" if tenant else item["id"]

    def resolve_given(
        self, kind: ids.Kind, reference: str | None, *, vpc_id: str | None = None
    ) -> str | None:
        """Return the id as :meth:`resolve` does; None for an option that was not given."""
        return self.resolve(kind, reference, vpc_id=vpc_id) if reference else None

    def events(self, query: Query, *, idle_s: float | None) -> Iterator[Json]:
        """Yield events as they come; ends when the stream does, or is idle for *idle_s*."""
        import httpx

        timeout = httpx.Timeout(10.0, read=idle_s)
        try:
            with self._http.stream("GET", "/v1/events", params=query, timeout=timeout) as answer:
                if answer.is_error:
                    answer.read()
                    raise _problem(answer, self._names)
                yield from _parse_stream(answer.iter_lines())
        except httpx.ReadTimeout:
            return
        except httpx.TransportError as error:
            raise self._unreachable(error) from None

    def _request(
        self,
        method: str,
        path: str,
        *,
        body: Json | list[Json] | None = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        names: Names | None = None,
    ) -> "httpx.Response":
        import httpx

        repeatable = method == "GET" or bool(headers and "Idempotency-Key" in headers)
        for left in reversed(range(_TRIES if repeatable else 1)):
            try:
                answer = self._http.request(method, path, json=body, params=query, headers=headers)
                break
            except httpx.TransportError as error:
                if left and isinstance(error, self._retried):
                    continue
                raise self._unreachable(error) from None
        else:
            raise AssertionError("the last try either answers or raises")
        if answer.is_error:
            raise _problem(answer, {**self._names, **(names or {})})
        return answer

    def _unreachable(self, error: Exception) -> CliError:
        what = str(error) or type(error).__name__
        return CliError(f"{self._target.api} does not answer: {what}", Exit.UNREACHABLE)


def named_kind(kind: ids.Kind) -> str:
    """Return what people call a *kind*."""
    return _NAMES.get(kind, kind)


def path_of(kind: ids.Kind, resource_id: str | None = None) -> str:
    """Return the path of all resources of a *kind*, or of one."""
    plural = f"/v1/{_PLURALS.get(kind, f'{kind}s')}"
    return plural if resource_id is None else f"{plural}/{resource_id}"


def _verify(target: Target) -> Any:
    """Return what decides whether the API is the one: the installation's own authority alone."""
    if not target.base_url.startswith("https://"):
        import ssl

        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # not used; would trust nobody
    if target.ca_file is None:
        hint = "pass --ca-file; 'vpcctl pki show --ca' prints it on the controller"
        raise CliError(f"ca-file: {target.api} needs the authority's certificate: {hint}")
    from vpcctl.pki.errors import PkiError
    from vpcctl.pki.tls import client_context

    try:
        return client_context(target.ca_file.read_text(errors="replace"))
    except OSError as error:
        raise CliError(f"ca-file: {target.ca_file}: {error.strerror}") from None
    except PkiError as error:
        raise CliError(f"ca-file: {target.ca_file}: {error}") from None


def _problem(answer: "httpx.Response", names: Names) -> CliError:
    code = exit_for_status(answer.status_code)
    try:
        document = answer.json()
        detail = document["detail"]
    except (ValueError, KeyError, TypeError):
        return CliError(f"HTTP {answer.status_code}: {answer.text[:200].strip()!r}", code)
    text = detail.removesuffix(".")
    if field := name_of(document.get("field"), names):
        text = f"{field}: {text}"
    if accepted := document.get("accepted"):
        text += f"; accepted: {accepted}"
    if blockers := document.get("blockers"):
        listed = ", ".join(f"{blocker['id']} ({blocker['reason']})" for blocker in blockers)
        text += f"; in the way: {listed}"
    return CliError(" ".join(text.split()), code)


def _parse_stream(lines: Iterator[str]) -> Iterator[Json]:
    """Yield the events of a stream (HTML Living Standard, section 9.2.6).

    Raises:
        CliError: events between the position asked for and now are gone.
    """
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if line and name:
            fields[name] = value.removeprefix(" ")
        elif not line and "data" in fields:
            document = json.loads(fields["data"])
            if fields.get("event") == "reset":
                raise CliError(f"after: {document['detail']}", Exit.NOT_FOUND)
            yield {"id": fields.get("id", ""), **document}
            fields = {}
