"""Flows to OpenFlow 1.4 bytes and back: the only place that knows how a flow looks on the wire.

Matches are written in the order in which Open vSwitch itself writes them, so what a flow-stats
reply holds can be compared as bytes with what we would send.
"""
