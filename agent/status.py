"""``vpc-agent status``: what the agent of this host has written down, for whoever looks by hand."""

from agent.settings import Settings
from agent.statedir import StateDir


def status(settings: Settings) -> int:
    """Print what the agent holds and what it has counted; returns the exit code."""
    directory = StateDir(settings.state_dir)
    state = directory.load_state(settings.host_id)
    if state is None:
        print(f"{settings.host_id}: no host state yet")
        return 1
    print(f"{state.host_id} ({state.name}) holds its state at revision {state.revision}")
    print(f"attachments {len(state.attachments)}")
    print(f"guests {len(state.guests)}")
    print(f"outside addresses {len(state.outside_addresses)}")
    for kind in ("guests", "outside"):
        for name, count in sorted(directory.load_counts(kind).items()):
            print(f"{kind}: {name} {count}")
    return 0
