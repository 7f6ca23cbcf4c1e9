"""Child processes that never outlive the bench, and short commands that must succeed."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

_LONGEST_OUTPUT = 400


class CommandError(RuntimeError):
    """A command failed; the message holds its output."""


def run(*argv: str, stdin: str | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a command to its end and return its standard output.

    Raises:
        CommandError: the command's exit status is not 0.
    """
    done = subprocess.run(
        argv,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **env} if env else None,
    )
    if done.returncode:
        output = done.stderr.strip() or done.stdout.strip()
        raise CommandError(f"{' '.join(argv)}: {output[:_LONGEST_OUTPUT]}")
    return done.stdout


def in_netns(netns: str | None, argv: Sequence[str]) -> list[str]:
    """Return the command that runs *argv* inside the network namespace *netns*."""
    # Not by ip-netns(8): what the agent mounts would be hidden from its own next start.
    return ["nsenter", f"--net=/run/netns/{netns}", "--", *argv] if netns else list(argv)


class Process:
    """One long-running child.

    ``setpriv --pdeathsig`` makes the kernel kill it when the bench dies, however that happens;
    so a bench that was killed leaves namespaces at most, and the next one sweeps those.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        netns: str | None = None,
        env: Mapping[str, str] | None = None,
        pipes: bool = False,
    ) -> None:
        self.argv = tuple(argv)
        self._log = log.open("ab")
        command = in_netns(netns, ["setpriv", "--pdeathsig", "KILL", "--", *argv])
        pipe = subprocess.PIPE if pipes else None
        self.popen = subprocess.Popen(
            command,
            stdin=pipe or subprocess.DEVNULL,
            stdout=pipe or self._log,
            stderr=self._log,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Process id; ``ip netns exec`` and ``setpriv`` replace themselves by the command."""
        return self.popen.pid

    def alive(self) -> bool:
        """Tell whether it still runs."""
        return self.popen.poll() is None

    def kill(self) -> None:
        """Kill it with SIGKILL, as a crash would, and reap it."""
        if self.alive():
            self.popen.kill()
        self.popen.wait()
        self._close()

    def stop(self, *, timeout: float = 5.0) -> None:
        """Ask it to end with SIGTERM; kill it when it does not within *timeout* seconds."""
        if self.alive():
            self.popen.terminate()
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.popen.kill()
        self.popen.wait()
        self._close()

    def _close(self) -> None:
        for stream in (self.popen.stdin, self.popen.stdout, self._log):
            if stream is not None:
                stream.close()

    def __enter__(self) -> "Process":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
