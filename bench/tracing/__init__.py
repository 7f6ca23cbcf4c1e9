"""Where a change's time goes, seen from outside: on sockets, on the wire and in OVSDB."""
