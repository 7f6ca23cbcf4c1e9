"""Netlink driver: links, addresses, routes, neighbours and network namespaces of this host.

The only package that imports pyroute2. Everything but the monitor is synchronous and belongs to
one worker thread, because entering a namespace changes the thread; nothing here forks.

Of pyroute2 only the modules are loaded that are imported here and that those need. The package's
own ``__init__`` would load all of it first (databases, wireless, nftables, SQLite: 5 MiB), so the
package is made without running that.
"""

import importlib.util
import sys


def _without_its_init(name: str) -> None:
    spec = importlib.util.find_spec(name)
    if spec is not None:
        sys.modules[name] = importlib.util.module_from_spec(spec)


if "pyroute2" not in sys.modules:
    _without_its_init("pyroute2")
