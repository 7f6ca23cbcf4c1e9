"""vpc-agent: one per host; programs OVS and netlink, attaches ports and reports links."""

VERSION = "0.1.0"
