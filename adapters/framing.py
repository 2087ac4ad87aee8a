"""Bytes ⇄ records: lines of a bounded length in, server-sent events out.

A line ends at the byte for a line feed and nowhere else. `str.splitlines` also splits at U+0085, U+2028 and others,
which JSON may hold unescaped, so it would cut a record in two.
"""

from __future__ import annotations

DONE = b"data: [DONE]\n\n"
"""The event that ends a stream of OpenAI's."""


def sse(data: bytes) -> bytes:
    """Return one server-sent event. The data holds no line break, as JSON from msgspec never does."""
    return b"data: " + data + b"\n\n"


class LineTooLongError(Exception):
    """A line is longer than its limit.

    Attributes:
        before: The lines that were whole before it.
    """

    def __init__(self, before: list[bytes]) -> None:
        super().__init__("a line is over its limit")
        self.before = before


class Lines:
    """Cuts a stream of bytes into lines, however the bytes arrive. Made for one stream.

    Args:
        limit: The longest line, in bytes without its end. No more than this and one piece is ever held.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that these bytes complete, without their ends.

        Raises:
            LineTooLongError: A line, whole or not yet, is over the limit. The stream is of no more use.
        """
        # A line is at most what is held and what comes now: short pieces need no closer look.
        bounded = len(self._rest) + len(data) <= self._limit
        lines = data.split(b"\n")
        rest = lines.pop()
        if lines and self._rest:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        self._rest += rest
        if not bounded:
            self._check(lines)
        return lines

    def close(self) -> list[bytes]:
        """The stream has ended: return what follows the last line's end as one line, or nothing."""
        lines = [bytes(self._rest)] if self._rest else []
        self._rest.clear()
        return lines

    def _check(self, lines: list[bytes]) -> None:
        for index, line in enumerate([*lines, self._rest]):
            if len(line) > self._limit:
                raise LineTooLongError(lines[:index])
