"""Connections from switches: one event loop carries them all, behind os-ken's own interface."""
