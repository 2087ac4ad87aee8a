"""Reads a request's body, within bounds of size and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.errors import BodyTooLarge, CallerLeft, UnsupportedEncoding

if TYPE_CHECKING:
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
    raise CallerLeft("The caller closed the connection before the request was whole.")


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The request's body is larger than {limit} bytes, the limit here (`max_body`).")
