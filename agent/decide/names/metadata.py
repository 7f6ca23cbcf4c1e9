"""The metadata service: EC2's and OpenStack's layouts, as cloud-init reads them."""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from agent.decide.names.guest import Guest
from agent.decide.names.tokens import MAX_TTL_S, Tokens

EC2_VERSIONS = ("1.0", "2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23", "latest")
OPENSTACK_VERSIONS = ("2012-08-10", "2013-04-04", "2015-10-15", "2018-08-27", "latest")
TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds"
TOKEN_HEADER = "x-aws-ec2-metadata-token"  # noqa: S105 - a header's name
_TEXT, _JSON, _BYTES = "text/plain", "application/json", "application/octet-stream"

Tree = Mapping[str, Any]
"""Names to leaves (text) and to trees."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a guest asks.

    Attributes:
        method: of HTTP.
        path: as it was sent, without the query: see :func:`path_of`.
        headers: by name in lower case.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Response:
    """What it is told."""

    status: int
    body: bytes = b""
    kind: str = _TEXT
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Data:
    """What a port's owner has said of it.

    Attributes:
        user_data: as it was given; None: none.
        public_keys: in OpenSSH's form.
        tokens_required: nothing is told without a session token.
    """

    user_data: bytes | None = None
    public_keys: tuple[str, ...] = ()
    tokens_required: bool = False


def data_of(document: Mapping[str, Any] | None) -> Data:
    """Return what a port's document says (:class:`vpcctl.wire.zones.PortMetadata`)."""
    if document is None:
        return Data()
    said = document["user_data"]
    return Data(
        None if said is None else base64.b64decode(said),
        tuple(document["public_keys"]),
        document["metadata_tokens"] == "required",
    )


def path_of(target: str) -> str:
    """Return the path of a request's target, also where that is a whole URL (RFC 9112, 3.2.2)."""
    path = target.partition("?")[0]
    if path.lower().startswith("http://"):
        return "/" + path[len("http://") :].partition("/")[2]
    return path


def answer(request: Request, guest: Guest, data: Data, tokens: Tokens, now: float) -> Response:
    """Return what *guest* is told; *now* is Unix time."""
    parts = [unquote(part) for part in request.path.split("/") if part]
    if parts == ["latest", "api", "token"]:
        return _token(request, guest, tokens, now)
    if request.method not in ("GET", "HEAD"):
        return Response(405, headers=(("Allow", "GET, HEAD"),))
    token = request.headers.get(TOKEN_HEADER)
    if token is None and data.tokens_required:
        return Response(401)
    if token is not None and not tokens.is_good(token, guest.key, now):
        return Response(401)
    return _found(parts, guest, data)


def _token(request: Request, guest: Guest, tokens: Tokens, now: float) -> Response:
    if request.method != "PUT":
        return Response(405, headers=(("Allow", "PUT"),))
    if "x-forwarded-for" in request.headers:
        return Response(403)  # a proxy in the guest that was not meant to reach us
    asked = request.headers.get(TTL_HEADER, "")
    if not (asked.isascii() and asked.isdecimal() and len(asked) < 8):
        return Response(400)
    life = int(asked)
    if not 1 <= life <= MAX_TTL_S:
        return Response(400)
    token = tokens.make(guest.key, now + life)
    return Response(200, token.encode(), headers=((TTL_HEADER, str(life)),))


def _found(parts: list[str], guest: Guest, data: Data) -> Response:
    if not parts:
        return _listing((*EC2_VERSIONS, "openstack"))
    if parts[0] == "openstack":
        return _openstack(parts[1:], guest, data)
    if parts[0] not in EC2_VERSIONS:
        return Response(404)
    return _ec2(parts[1:], guest, data)


def _listing(names: Any) -> Response:
    return Response(200, "\n".join(names).encode())


def _ec2(parts: list[str], guest: Guest, data: Data) -> Response:
    has_data = data.user_data is not None
    if not parts:
        return _listing(["dynamic", "meta-data", *(["user-data"] if has_data else [])])
    if parts == ["user-data"]:
        return Response(200, data.user_data or b"", _BYTES) if has_data else Response(404)
    if parts[0] == "dynamic":
        tree: Tree = {"instance-identity": {"document": _identity(guest)}}
        return _walk(tree, parts[1:])
    if parts[0] == "meta-data":
        return _walk(_meta_data(guest, data), parts[1:])
    return Response(404)


def _walk(tree: Tree, parts: list[str]) -> Response:
    here: Any = tree
    for part in parts:
        if not isinstance(here, Mapping) or part not in here:
            return Response(404)
        here = here[part]
    if isinstance(here, str):
        return Response(200, here.encode())
    if parts[-1:] == ["public-keys"]:  # they are listed with names
        return _listing([f"{name}=key-{name}" for name in here])
    return _listing(
        [name if isinstance(below, str) else f"{name}/" for name, below in here.items()]
    )


def _identity(guest: Guest) -> str:
    said = {
        "instanceId": guest.port_id,
        "privateIp": _first(guest, 4),
        "availabilityZone": guest.availability_zone,
        "version": "2017-09-30",
    }
    return json.dumps({name: value for name, value in said.items() if value})


def _first(guest: Guest, version: int) -> str:
    return next((str(one.ip) for one in guest.interfaces if one.version == version), "")


_TAG = re.compile(r"(?!\d+=|\.{1,2}$)[^ /]+")
"""Keys of tags that are told: as in AWS, without spaces and slashes, and none that stands for a
place. A number with an equals sign after it would be read as one of the keys for SSH."""


def _meta_data(guest: Guest, data: Data) -> Tree:
    tree: dict[str, Any] = {
        "ami-launch-index": "0",
        "hostname": guest.full_name,
        "instance-id": guest.port_id,
        "instance-type": "vpcctl.port",
        "local-hostname": guest.full_name,
        "mac": guest.mac,
        "network": {"interfaces": {"macs": {guest.mac: _interface(guest)}}},
    }
    if _first(guest, 4):
        tree["local-ipv4"] = _first(guest, 4)
    if _first(guest, 6):
        tree["ipv6"] = _first(guest, 6)
    if guest.public:
        tree["public-ipv4"] = guest.public[0][1]
    if guest.availability_zone:
        tree["placement"] = {"availability-zone": guest.availability_zone}
    tags = {key: value for key, value in guest.tags if _TAG.fullmatch(key)}
    if tags:
        tree["tags"] = {"instance": tags}
    if data.public_keys:
        keys = {str(at): {"openssh-key": key} for at, key in enumerate(data.public_keys)}
        tree["public-keys"] = keys
    return tree


def _interface(guest: Guest) -> Tree:
    found: dict[str, Any] = {
        "device-number": "0",
        "interface-id": guest.port_id,
        "local-hostname": guest.full_name,
        "mac": guest.mac,
        "subnet-id": guest.subnet_id,
        "vpc-id": guest.vpc_id,
    }
    if _first(guest, 4):
        found["local-ipv4s"] = _of(guest, 4, lambda one: str(one.ip))
        found["subnet-ipv4-cidr-block"] = _blocks(guest, 4)
    if _first(guest, 6):
        found["ipv6s"] = _of(guest, 6, lambda one: str(one.ip))
        found["subnet-ipv6-cidr-blocks"] = _blocks(guest, 6)
    if guest.public:
        found["public-ipv4s"] = "\n".join(eip for _, eip in guest.public)
        found["ipv4-associations"] = {eip: fixed for fixed, eip in guest.public}
    return found


def _of(guest: Guest, version: int, say: Callable[[Any], str]) -> str:
    said = (say(one) for one in guest.interfaces if one.version == version)
    return "\n".join(dict.fromkeys(said))


def _blocks(guest: Guest, version: int) -> str:
    return _of(guest, version, lambda one: str(one.network))


def _openstack(parts: list[str], guest: Guest, data: Data) -> Response:
    if not parts:
        return _listing(OPENSTACK_VERSIONS)
    if parts[0] not in OPENSTACK_VERSIONS or len(parts) > 2:
        return Response(404)
    documents: dict[str, Callable[[], Any]] = {
        "meta_data.json": lambda: _about(guest, data),
        "network_data.json": lambda: _network(guest),
        "vendor_data.json": dict,
        "vendor_data2.json": dict,
    }
    if len(parts) == 1:
        return _listing([*documents, *(["user_data"] if data.user_data is not None else [])])
    if parts[1] == "user_data" and data.user_data is not None:
        return Response(200, data.user_data, _BYTES)
    made = documents.get(parts[1])
    return Response(404) if made is None else Response(200, json.dumps(made()).encode(), _JSON)


def _about(guest: Guest, data: Data) -> Any:
    named = {f"key-{at}": key for at, key in enumerate(data.public_keys)}
    known = {"availability_zone": guest.availability_zone, "project_id": guest.project_id}
    return {
        "uuid": guest.port_id,
        "name": guest.host_name,
        "hostname": guest.full_name,
        "launch_index": 0,
        "public_keys": named,
        "keys": [{"name": name, "type": "ssh", "data": key} for name, key in named.items()],
        **{name: value for name, value in known.items() if value},
    }


def _network(guest: Guest) -> Any:
    return {
        "links": [
            {
                "id": "port0",
                "type": "phy",
                "ethernet_mac_address": guest.mac,
                "mtu": guest.mtu,
                "vif_id": guest.port_id,
            }
        ],
        "networks": [
            {"id": f"network{at}", "network_id": guest.subnet_id, "link": "port0", **one}
            for at, one in enumerate(_networks(guest))
        ],
        "services": [{"type": "dns", "address": address} for address in guest.resolvers],
    }


def _networks(guest: Guest) -> Iterator[dict[str, str]]:
    """Yield how the guest gets its addresses: it asks, so that it hears of changes, too.

    What is said as fixed cloud-init writes down for ever, and of IPv6 it switches router
    advertisements off besides. So only what no DHCP client can ask for is said so: IPv4 addresses
    but the first.
    """
    ipv4 = [one for one in guest.interfaces if one.version == 4]
    if ipv4:
        yield {"type": "ipv4_dhcp"}
    mode = guest.own_ipv6_mode
    if mode is not None:
        yield {"type": f"ipv6_{mode}"}
    for one in ipv4[1:]:
        yield {"type": "ipv4", "ip_address": str(one.ip), "netmask": str(one.netmask)}
