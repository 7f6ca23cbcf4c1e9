"""The measurements, one module per key of the results."""
