"""What a host answers, before it is bytes: one whole body, a stream of lines, or a refusal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from msgspec import Struct

from gateway.simulator.golang import encode

JSON = "application/json; charset=utf-8"
NDJSON = "application/x-ndjson"
TEXT = "text/plain"

_BUFFER = 2048
"""Go's server knows the length of a body that fits into its buffer; a longer one it sends in chunks."""


class Refusal(Exception):
    """A request that is answered with an error.

    Attributes:
        status: The HTTP status.
        text: The value of `error`.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Whole(Struct, frozen=True, kw_only=True):
    """An answer with one body.

    Attributes:
        status: The HTTP status.
        headers: The headers that its sender sets itself, in any order.
        body: The body.
        chunked: Whether it is sent in chunks.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    chunked: bool = False


class Stream(Struct, frozen=True):
    """An answer of status 200 that is sent line by line.

    Attributes:
        lines: The lines, each with its line feed.
    """

    lines: AsyncIterator[bytes]


Answer = Whole | Stream


def reply(value: Any, *, status: int = 200) -> Whole:
    """Return a JSON answer as Ollama's router writes it."""
    body = encode(value)
    return Whole(status=status, headers=(("Content-Type", JSON),), body=body, chunked=len(body) > _BUFFER)


def refuse(refusal: Refusal, *, streaming: bool = False) -> Whole:
    """Return the answer to a refused request.

    Args:
        refusal: Why.
        streaming: Whether the request asked for a stream and was refused while its first line was awaited: then it is
            written through the stream, whose headers differ.
    """
    answer = reply({"error": refusal.text}, status=refusal.status)
    if not streaming:
        return answer
    return Whole(status=refusal.status, headers=(("Content-Type", "application/json"),), body=answer.body, chunked=True)


def nested(status: int, message: str, kind: str, **more: Any) -> Refusal:
    """Return a refusal by llama-server, whose whole JSON becomes the error's text from 0.30 on (wire.md 2)."""
    error = {"code": status, "message": message, "type": kind, **more}
    return Refusal(status, encode({"error": error}).decode())


def text(status: int, words: str, *headers: tuple[str, str]) -> Whole:
    """Return a plain text, as the router answers what it does not know."""
    return Whole(status=status, headers=(("Content-Type", TEXT), *headers), body=words.encode())
