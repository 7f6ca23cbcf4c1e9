"""Whether a refused request has left everything as it was."""

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx

from tests.api.support import Api

_LISTED = (
    *("vpcs", "subnets", "ports", "security-groups", "address-groups", "network-acls"),
    *("dhcp-options", "route-tables", "external-networks", "internet-gateways", "nat-gateways"),
    *("eips", "hosts"),
)


@contextlib.contextmanager
def unchanged(api: Api) -> Iterator[None]:
    """Hold that a block has changed nothing: no listing, and not the revision."""
    before = _everything(api)
    yield
    assert _everything(api) == before


def _everything(api: Api) -> dict[str, Any]:
    client = api.admin
    found: dict[str, Any] = {"revision": client.get("/v1/status").json()["revision"]}
    for plural in _LISTED:
        found[plural] = list(_items(client, plural))
    return found


def _items(client: httpx.Client, plural: str) -> Iterator[dict[str, Any]]:
    params: dict[str, str] = {"limit": "500"}
    while True:
        page = client.get(f"/v1/{plural}", params=params).raise_for_status().json()
        yield from page["items"]
        if page["next_cursor"] is None:
            return
        params["cursor"] = page["next_cursor"]
