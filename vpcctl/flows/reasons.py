"""Why a packet is dropped: one counted flow each in table Drop."""

import enum


class Reason(enum.IntEnum):
    """A number in the reason register, and with it a counter; numbers are never used again."""

    UNKNOWN_PORT = 1
    UNKNOWN_VTEP = 2
    UNKNOWN_VNI = 3
    ADMIN_DOWN = 4
    SPOOFED_MAC = 5
    SPOOFED_IPV4 = 6
    SPOOFED_IPV6 = 7
    SPOOFED_ARP = 8
    SPOOFED_ND = 9
    ROUTER_ADVERTISEMENT = 10
    REDIRECT = 11
    DHCP_SERVER = 12
    DHCP_UNANSWERED = 13
    ETHERTYPE = 14
    NO_NEIGHBOUR = 15
    NO_ROUTE = 16
    TTL_EXCEEDED = 17
    UNKNOWN_UNICAST = 18
    NO_OUTPUT = 19
    GATEWAY_SERVICE = 20
    ARP_UNANSWERED = 21
    ND_UNANSWERED = 22
    NO_MEMBERS = 23
    TUNNEL_TO_GATEWAY = 24
    INVALID_SOURCE = 25
    NO_ND_EXTENSIONS = 26

    @property
    def text(self) -> str:
        """The reason's name as metrics and people see it, such as ``spoofed-mac``."""
        return self.name.lower().replace("_", "-")
