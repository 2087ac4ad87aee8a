"""What a caller of the hop holds in its hands: an answer that is still arriving."""

from __future__ import annotations

from adapters.errors import HostBroken
from gateway.hop.answer import Answer
from gateway.hop.connection import Connection


class HopResponse:
    """An answer whose header block is there. One task reads it, and whoever got it calls `close`.

    Attributes:
        status: The HTTP status, 200 to 599.
        headers: Lower-case names with their values, in order.
        framed: Whether content-length or chunked says where the body ends. When it is False, an answer that was cut
            short looks like a whole one.
    """

    __slots__ = ("_answer", "_connection", "framed", "headers", "status")

    def __init__(self, connection: Connection, answer: Answer) -> None:
        self._connection = connection
        self._answer = answer
        self.status = answer.status
        self.headers = answer.headers
        self.framed = answer.framed

    @property
    def complete(self) -> bool:
        """Whether the whole answer has arrived, read or not. Then its connection is free for another call."""
        return self._answer.complete

    @property
    def media_type(self) -> bytes:
        """The value of `content-type`; empty when there is none."""
        return next((value for name, value in self.headers if name == b"content-type"), b"")

    async def read(self) -> bytes:
        """Return everything that has arrived and was not read yet; wait only when there is nothing.

        Cancelling it closes the connection.

        Returns:
            A part of the body, or nothing at its clean end.

        Raises:
            HostBroken: The connection was cut, or what came over it makes no sense.
            HostTimeout: Nothing came for too long, or the whole call took too long.
        """
        answer = self._answer
        while not answer.pieces:
            if answer.complete:
                return b""
            await self._connection.progress(answer)
        data = answer.take()
        self._connection.taken(answer)
        return data

    async def body(self, limit: int) -> bytes:
        """Return the whole body, at most `limit` bytes of it.

        Raises:
            HostBroken: The body is larger; or as in `read`.
            HostTimeout: As in `read`.
        """
        pieces = []
        size = 0
        while piece := await self.read():
            size += len(piece)
            if size > limit:
                self.close()
                raise HostBroken(f"The host's answer is larger than {limit} bytes.")
            pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """End the exchange. A connection whose answer is not whole is closed at once, so that the host stops.

        It may be called at any time and more than once, and never raises.
        """
        self._connection.abandon(self._answer)

    def __repr__(self) -> str:
        answer = self._answer
        state = "complete" if answer.complete else "failed" if answer.failure else "arriving"
        return f"<HopResponse {self.status} {state}>"
