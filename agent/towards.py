"""Which address of this host its packets to the controller come from."""

import ipaddress
import socket
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def source_address(api_url: str) -> str | None:
    """Return the address that the kernel would send from to the host of *api_url*.

    Nothing is sent: connecting a UDP socket only looks up the route (connect(2)). The name in the
    address is resolved, which may block.

    Returns:
        None where there is no such address, or other hosts could not reach it: the controller is
        on this machine's loopback or behind a Unix socket, or there is no route to it.
    """
    url = urlsplit(api_url)
    if url.scheme not in _PORTS or not url.hostname:
        return None
    try:
        # A port that is no number raises ValueError here too, as does a name that is no IDNA.
        port = url.port or _PORTS[url.scheme]
        found = socket.getaddrinfo(url.hostname, port, type=socket.SOCK_DGRAM)
    except (OSError, ValueError):
        return None
    for family, kind, protocol, _, target in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.connect(target)
                source = ipaddress.ip_address(probe.getsockname()[0])
        except (OSError, ValueError):
            continue  # no route in this family
        if not (source.is_loopback or source.is_link_local or source.is_unspecified):
            return str(source)
    return None
