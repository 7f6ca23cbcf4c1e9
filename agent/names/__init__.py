"""Names and metadata for guests: a process of its own that the agent starts and watches.

The process answers (``process``, ``dns_server``, ``http_server``, ``forward``); the agent's own
part fetches what it needs and tells it (``keeper``, ``child``).
"""
