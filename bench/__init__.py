"""Measures this product against OVN and against hand-written flows, side by side in one run."""
