"""The body of a request that may be larger than memory: it is handed on piece by piece, and its sender has to wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

_MOST = 1024 * 1024
"""How many bytes are held before the sender has to wait."""


def is_upload(method: bytes, target: bytes) -> bool:
    """Tell whether a request brings a blob."""
    return method == b"POST" and target.startswith(b"/api/blobs/")


class Upload:
    """A body as it comes in.

    Args:
        transport: Where it comes from.
        invitation: What asks the client to send it; empty when it does not wait to be asked.

    Attributes:
        ended: Whether all of it has come.
    """

    def __init__(self, transport: asyncio.Transport, invitation: bytes) -> None:
        self.ended = False
        self._transport = transport
        self._invitation = invitation
        self._held: deque[bytes] = deque()
        self._size = 0
        self._changed = asyncio.Event()

    def feed(self, piece: bytes) -> None:
        """Take what has come."""
        self._held.append(piece)
        self._size += len(piece)
        self._changed.set()
        if self._size >= _MOST:
            self._transport.pause_reading()

    def end(self) -> None:
        """Take note that nothing more comes."""
        self.ended = True
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces, each once."""
        if self._invitation:
            self._transport.write(self._invitation)
            self._invitation = b""
        while self._held or not self.ended:
            if not self._held:
                self._changed.clear()
                await self._changed.wait()
                continue
            piece = self._held.popleft()
            self._size -= len(piece)
            if self._size < _MOST:
                self._transport.resume_reading()
            yield piece

    async def discard(self, most: float) -> bool:
        """Throw away what is left, and return whether it ended within so many bytes."""
        if self._invitation:
            return False
        async for piece in self:
            most -= len(piece)
            if most < 0:
                break
        return self.ended
