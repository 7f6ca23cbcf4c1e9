"""Why a packet is dropped: one counted flow each in table Drop."""

import enum


class Reason(enum.IntEnum):
    """A number in the reason register, and with it a counter; numbers are never used again."""

    UNKNOWN_PORT = 1
    UNKNOWN_VTEP = 2
    UNKNOWN_VNI = 3
    ADMIN_DOWN = 4
    INVALID_SOURCE = 5
    SPOOFED_IPV4 = 6
    SPOOFED_IPV6 = 7
    SPOOFED_ARP = 8
    SPOOFED_ND = 9
    ETHERTYPE = 10
    ROUTER_ADVERTISEMENT = 11
    REDIRECT = 12
    DHCP_SERVER = 13
    DHCP_UNANSWERED = 14
    ROUTER_SOLICITATION = 15
    OWN_ADDRESS = 16
    ARP_UNANSWERED = 17
    ND_UNANSWERED = 18
    NO_NEIGHBOUR = 19
    NO_ROUTE = 20
    TTL_EXCEEDED = 21
    GATEWAY_SERVICE = 22
    # 23 is used up.
    TUNNEL_TO_GATEWAY = 24
    UNKNOWN_UNICAST = 25
    NO_MEMBERS = 26
    NO_OUTPUT = 27
    HIDDEN_HEADER = 28
    FRAGMENTED_ND = 29
    UNROUTABLE_SOURCE = 30
    EGRESS_DENIED = 31
    INGRESS_DENIED = 32
    EGRESS_INVALID = 33
    INGRESS_INVALID = 34
    ACL_OUT_DENIED = 35
    ACL_IN_DENIED = 36
    BLACKHOLE = 37
    NO_EIP = 38
    NO_GATEWAY = 39
    OUTSIDE_UNKNOWN = 40
    OUTSIDE_SOURCE = 41
    NAT_UNMATCHED = 42
    NAT_EXHAUSTED = 43
    UNTRANSLATABLE = 45
    ON_LINK_ONLY = 46
    GUEST_UNANSWERED = 60
    GUEST_ADDRESS = 61

    @property
    def text(self) -> str:
        """The reason's name as metrics and people see it, such as ``spoofed-mac``."""
        return self.name.lower().replace("_", "-")
