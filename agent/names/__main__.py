"""``python -m agent.names``: started by the agent alone."""

import sys
import types

_UNUSED = ("ssl", "_hashlib")
"""What asyncio and hashlib import where it happens to be there: OpenSSL, of which the process has
no use but 5 MiB. What it hashes, Python's own modules hash."""
_FEATURES = "dns._features"


def _has(feature: str) -> bool:
    """Tell whether dnspython may use a library beside itself: none is needed for what is done."""
    del feature
    return False


def leave_out() -> None:
    """Have libraries import less; called before anything else is imported.

    dnspython looks up what is installed beside it: importlib.metadata with all that reads wheels,
    and IDNA's tables, 3 MiB.
    """
    for name in _UNUSED:
        sys.modules.setdefault(name, None)  # pyright: ignore[reportArgumentType]
    import dns

    features = types.ModuleType(_FEATURES, _has.__doc__)
    features.have = _has  # type: ignore[attr-defined]
    dns._features = sys.modules[_FEATURES] = features  # type: ignore[attr-defined]


if __name__ == "__main__":
    leave_out()

    from agent.names.process import main

    main()
