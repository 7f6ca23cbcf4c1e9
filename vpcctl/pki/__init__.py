"""Keys, certificates and their files: what the controller's authority and the agents share.

A leaf package: it knows no database, no HTTP and no clock (times are arguments).
"""
