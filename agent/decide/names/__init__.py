"""What guests are told when they ask for names and metadata; pure.

Documents are plain JSON objects as :mod:`vpcctl.wire.zones` describes them: they have been checked
by the agent, and the process that answers does without the library that checks.
"""
