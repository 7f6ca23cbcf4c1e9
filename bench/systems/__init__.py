"""The systems that are measured, behind one protocol."""
