"""Reads a request's body, within bounds of size and time: whole, or piece by piece."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from adapters.errors import BodyTimeout, BodyTooLarge, CallerLeft, UnsupportedEncoding

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Receive, Scope


async def read_body(scope: Scope, receive: Receive, *, limit: int) -> bytes:
    """Return the whole body. The server sees to it that it does not take for ever (`gateway.serving`).

    Args:
        scope: The request.
        receive: Its channel.
        limit: The most bytes that are read.

    Raises:
        BodyTooLarge: It is longer, or says that it will be.
        UnsupportedEncoding: It is compressed.
        CallerLeft: The connection is closed before its end.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > limit:
            raise _too_large(limit)
        if name == b"content-encoding" and value.lower() != b"identity":
            raise UnsupportedEncoding("A compressed body is not understood here. Send the JSON as it is.")
    message = await receive()
    if message["type"] == "http.request" and not message["more_body"] and len(message["body"]) <= limit:
        whole: bytes = message["body"]
        return whole
    body = bytearray()
    while message["type"] == "http.request":
        body += message["body"]
        if len(body) > limit:
            raise _too_large(limit)
        if not message["more_body"]:
            return bytes(body)
        message = await receive()
    raise _left()


async def body_pieces(receive: Receive, *, patience: float) -> AsyncGenerator[bytes, None]:
    """Yield the body piece by piece, none of them empty. Its size is not bounded, nor its time as long as it goes on.

    The caller is made to wait while nobody asks for the next piece, and that time does not count. To be used within an
    `Ending` that is unhurried, for else the server bounds the time of the whole.

    Args:
        receive: The request's channel.
        patience: Seconds that may pass without a byte.

    Raises:
        BodyTimeout: Nothing came for too long.
        CallerLeft: The connection is closed before the body's end.
    """
    more = True
    while more:
        try:
            async with asyncio.timeout(patience):
                message = await receive()
        except TimeoutError:
            raise BodyTimeout(f"Nothing more of the request arrived for {patience:g} seconds.") from None
        if message["type"] != "http.request":
            raise _left()
        more = message["more_body"]
        if message["body"]:
            yield message["body"]


def body_length(scope: Scope) -> int | None:
    """Return how many bytes the body says that it has; None when its end will tell."""
    headers = dict(scope["headers"])
    return None if b"transfer-encoding" in headers else int(headers.get(b"content-length", 0))


def _left() -> CallerLeft:
    return CallerLeft("The caller closed the connection before the request was whole.")


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The request's body is larger than {limit} bytes, the limit here (`max_body`).")
