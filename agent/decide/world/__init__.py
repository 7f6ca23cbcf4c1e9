"""What the agent says and hears on external networks for the addresses that this host answers for.

Pure but for the memory of what waits and what was said; time comes in as a number of seconds.
"""
