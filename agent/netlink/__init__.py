"""Netlink driver: links, addresses, routes, neighbours and network namespaces of this host.

The only package that imports pyroute2. Everything but the monitor is synchronous and belongs to
one worker thread, because entering a namespace changes the thread; nothing here forks.
"""
