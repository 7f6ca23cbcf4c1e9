"""The vpcctl command line. It talks REST."""
