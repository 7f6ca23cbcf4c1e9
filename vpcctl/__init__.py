"""vpcctl: a software-defined VPC control plane over Open vSwitch."""

__version__ = "0.1.0"
