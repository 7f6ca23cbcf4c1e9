"""OpenFlow to the hosts: the os-ken application, its transport, codec and engine."""
