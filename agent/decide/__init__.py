"""The agent's pure part: from what is wanted and what is there to an ordered plan.

No I/O, no clock, no randomness: time comes in as a number, facts as frozen values.
"""
