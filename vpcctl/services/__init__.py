"""Use cases: they own the transaction and the rules; one file a resource."""
