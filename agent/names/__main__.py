"""``python -m agent.names``: started by the agent alone."""

import sys

_UNUSED = ("ssl", "_hashlib")
"""What asyncio and hashlib import where it happens to be there: OpenSSL, of which the process has
no use but 5 MiB. What it hashes, Python's own modules hash."""

if __name__ == "__main__":
    for name in _UNUSED:
        sys.modules.setdefault(name, None)  # pyright: ignore[reportArgumentType]

    from agent.names.process import main

    main()
