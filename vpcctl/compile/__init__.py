"""Network → host view: which pieces of the network matter on a host. Pure."""
