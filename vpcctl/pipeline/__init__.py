"""Host view and physical facts → flows; one module per table group. Pure."""
