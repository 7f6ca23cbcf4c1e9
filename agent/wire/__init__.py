"""What the controller and the agent tell each other, as the agent reads and writes it.

The controller's own classes (:mod:`vpcctl.wire`) say what everything means. They tell whoever wrote
a request all that is wrong with it, by a library that takes ten megabytes of each process; these
are read by one that takes less than one. A test holds both against each other.
"""
