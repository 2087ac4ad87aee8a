"""Answers as HTTP/1.1 bytes, with the headers and in the order of Go's server."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Literal

from msgspec import Struct

from gateway.simulator.answers import NDJSON, Answer, Stream, Whole

Framing = Literal["chunked", "length", "close", "none"]

LAST_CHUNK = b"0\r\n\r\n"


class Parts(Struct, frozen=True):
    """An answer, ready to be sent piece by piece.

    Attributes:
        head: The status line and the headers, with the blank line.
        lines: The pieces of the body: the lines of a stream, or the one body of a whole answer.
        framing: How the end of the body is told.
    """

    head: bytes
    lines: AsyncIterator[bytes]
    framing: Framing

    def frame(self, data: bytes) -> bytes:
        """Return a piece of the body as it goes over the wire."""
        return b"%x\r\n%b\r\n" % (len(data), data) if self.framing == "chunked" else data

    @property
    def end(self) -> bytes:
        """What tells the end of the body."""
        return LAST_CHUNK if self.framing == "chunked" else b""


def parts_of(answer: Answer, method: str, *, keep_alive: bool = True, until_close: bool = False) -> Parts:
    """Return an answer's head and body.

    Args:
        answer: The answer.
        method: The request's method; HEAD has no body.
        keep_alive: Whether the connection stays open afterwards.
        until_close: Whether the body's end is told by the connection's end.
    """
    whole = answer if isinstance(answer, Whole) else Whole(headers=(("Content-Type", NDJSON),), chunked=True)
    framing: Framing = "close" if until_close else "chunked" if whole.chunked else "length"
    if method == "HEAD" or whole.status == 204:
        framing = "length" if framing == "length" and whole.status != 204 else "none"
    body = answer.lines if isinstance(answer, Stream) else _once(whole.body)
    lines = _once(b"") if method == "HEAD" else body
    return Parts(_head(whole, framing, keep_alive=keep_alive and not until_close), lines, framing)


def _head(answer: Whole, framing: Framing, *, keep_alive: bool) -> bytes:
    """Write the sender's own headers in alphabetical order, then the server's."""
    headers = [*sorted(answer.headers, key=lambda header: header[0]), ("Date", _date(int(time.time())))]
    if framing == "length":
        headers.append(("Content-Length", str(len(answer.body))))
    if not keep_alive:
        headers.append(("Connection", "close"))
    if framing == "chunked":
        headers.append(("Transfer-Encoding", "chunked"))
    lines = [f"HTTP/1.1 {answer.status} {_phrase(answer.status)}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"status code {status}"


async def _once(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body
