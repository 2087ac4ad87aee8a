"""What streams of server-sent events have in common: they end once, well or with an error."""

from __future__ import annotations

from adapters.errors import GatewayError
from adapters.framing import sse
from adapters.openai.errors import encode_error


class EventStream:
    """An answer as server-sent events.

    Attributes:
        ended: Whether nothing follows any more.
    """

    __slots__ = ("ended",)

    def __init__(self) -> None:
        self.ended = False

    def fail(self, error: GatewayError) -> bytes:
        """Return the event that tells of a failure and ends the stream; nothing when it has ended already."""
        if self.ended:
            return b""
        self.ended = True
        return sse(encode_error(error))
