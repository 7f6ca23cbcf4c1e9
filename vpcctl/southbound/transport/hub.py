"""os-ken, imported the one way that we want it: on native threads, without eventlet.

Whoever needs os-ken imports it from here or after here.
"""

import os

from vpcctl.southbound.transport import packets

os.environ["OSKEN_HUB_TYPE"] = "native"

from os_ken.base import app_manager
from os_ken.controller import controller, handler, ofp_event, ofp_handler
from os_ken.ofproto import ofproto_parser, ofproto_protocol, ofproto_v1_4

__all__ = [
    "app_manager",
    "controller",
    "handler",
    "ofp_event",
    "ofp_handler",
    "ofproto_parser",
    "ofproto_protocol",
    "ofproto_v1_4",
    "packets",
]
