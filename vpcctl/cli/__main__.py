"""``python -m vpcctl.cli`` is ``vpcctl``."""

from vpcctl.cli.main import main

main()
