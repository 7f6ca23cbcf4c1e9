"""Answers as bytes, by VPC and question: one that comes again costs a look and no parsing."""

from collections import OrderedDict

from agent.decide.names.dns import MAX_UDP

MOST = 512
"""Answers that are kept of one VPC: what its guests ask takes nothing from others'."""


class Cache:
    """Answers that hold until their zone changes.

    Two questions are the same when all but their ids is. The answer is kept without its id, too.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: dict[str, OrderedDict[bytes, bytes]] = {}

    def get(self, vpc_id: str, question: bytes, *, tcp: bool) -> bytes | None:
        """Return the answer to a question, with the question's id."""
        kept = self._kept.get(vpc_id)
        answer = None if kept is None or tcp else kept.get(question[2:])
        return None if answer is None else question[:2] + answer

    def put(self, vpc_id: str, question: bytes, answer: bytes, *, tcp: bool) -> None:
        """Keep an answer over UDP; the oldest of the VPC goes when there are too many."""
        if tcp or len(answer) > MAX_UDP:
            return
        kept = self._kept.setdefault(vpc_id, OrderedDict())
        kept[question[2:]] = answer[2:]
        if len(kept) > self._most:
            kept.popitem(last=False)

    def forget(self, vpc_id: str) -> None:
        """Forget the answers of a VPC, whose zone is another one now."""
        self._kept.pop(vpc_id, None)

    def __len__(self) -> int:
        """Return how many answers are kept."""
        return sum(map(len, self._kept.values()))
