"""Schemas that controller and agent share, versioned. Pydantic only: no I/O, no clock."""
