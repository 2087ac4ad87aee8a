"""Reads a request's body, within bounds of size and time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from adapters.errors import BodyTimeout, BodyTooLarge, CallerLeft, UnsupportedEncoding

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

    from gateway.api.ending import Ending


async def read_body(scope: Scope, receive: Receive, ending: Ending, *, limit: int, seconds: float) -> bytes:
    """Return the whole body.

    Args:
        scope: The request.
        receive: Its channel.
        ending: Ends the request when the body takes too long.
        limit: The most bytes that are read.
        seconds: The longest that is waited for all of it.

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
    timer = asyncio.get_running_loop().call_later(seconds, _too_slow, ending, seconds)
    try:
        return await _gather(receive, limit)
    finally:
        timer.cancel()


async def _gather(receive: Receive, limit: int) -> bytes:
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
    raise CallerLeft("The caller closed the connection before the request was whole.")


def _too_slow(ending: Ending, seconds: float) -> None:
    ending.end(BodyTimeout(f"The request's body did not arrive within {seconds:g} seconds."))


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The request's body is larger than {limit} bytes, the limit here (`max_body`).")
