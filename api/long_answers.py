"""Answers that may be long, given in parts: a connection keeps room for the longest it was given.

OpenSSL holds what is encrypted and not sent yet in one buffer a connection, which grows and never
shrinks. A host's state may have hundreds of kilobytes, and a thousand hosts keep their connections
open for good.
"""

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PART = 4 << 10
"""Bytes. OpenSSL keeps a third more than the longest part for each connection, so a host's long
poll keeps 5 KiB instead of the 22 of a whole TLS record."""


class LongAnswer(Response):
    """A JSON document that is written part by part, each when there is room for it."""

    media_type = "application/json"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        head = {"type": "http.response.start", "status": self.status_code}
        await send({**head, "headers": self.raw_headers})
        for start in range(0, len(self.body) or 1, PART):
            end = start + PART
            part = {"body": bytes(self.body[start:end]), "more_body": end < len(self.body)}
            await send({"type": "http.response.body", **part})
