"""Labs: whole networks on one machine, seen from outside, through the API and the CLI alone.

They run under Debian's own Python, the only one that has Mininet, with the standard library.
"""
