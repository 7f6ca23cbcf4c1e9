"""``python -m agent.renew``: renews the host's certificate once; started by the agent alone.

In a process of its own, because what makes keys and reads certificates stays in memory, 10 MiB for
something that happens every few weeks. The agent's settings are its standard input.
"""

import asyncio
import sys

from agent import pki
from agent.client import Client, ClientError
from agent.renewal import CertificateKeeper
from agent.settings import Settings, heard
from agent.wire.enrollment import CertificateAnswer
from vpcctl.pki.errors import PkiError

_ANSWER_S = 30.0


async def _renew(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    client = Client(settings)

    def post(request: str) -> CertificateAnswer:
        asked = asyncio.run_coroutine_threadsafe(client.renew(request), loop)
        return asked.result(_ANSWER_S)

    def tell_ovs(_files: pki.SslFiles) -> None:
        """Leave it to the agent, which looks when this process has ended."""

    store = pki.open_store(settings.state_dir)
    keeper = CertificateKeeper(store, post=post, tell_ovs=tell_ovs)
    renewed = await asyncio.to_thread(keeper.run_once)
    if renewed is not None:
        pki.about(renewed)


def main() -> int:
    """Renew, if it is time to; returns the exit code."""
    try:
        asyncio.run(_renew(heard(sys.stdin.read())))
    except (PkiError, ClientError, TimeoutError, OSError) as error:
        print(error or type(error).__name__, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
