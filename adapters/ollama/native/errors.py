"""A failure in Ollama's shape (wire.md 2): in the host's own bytes where it was the host that told of it."""

from __future__ import annotations

import msgspec

from adapters.errors import GatewayError, HostAnswer, HostRefused, MethodNotAllowed

JSON = b"application/json; charset=utf-8"
TEXT = b"text/plain"


def encode_refusal(error: GatewayError) -> HostAnswer:
    """Return the answer that tells of a failure.

    A host's own answer is passed on when it is Ollama's. One that asks for credentials is not: it means the gateway's,
    and the caller would look for a mistake in its own. Only Ollama's cloud means the caller, and says where to sign in.
    """
    if error.refusal is not None and _said(error) is not None:
        return error.refusal
    if isinstance(error, MethodNotAllowed):
        return HostAnswer(error.status, TEXT, b"405 method not allowed")
    return HostAnswer(error.status, JSON, encode_error(error.message))


def encode_line(error: GatewayError) -> bytes:
    """Return the line within a stream that tells of a failure, and ends it."""
    return encode_refusal(error).body + b"\n"


def words(error: GatewayError) -> str:
    """Return what a failure says, in the host's own words where it was the host that told of it."""
    said = _said(error)
    return said.error if said is not None and isinstance(said.error, str) else error.message


def encode_error(text: str) -> bytes:
    """Return a body, or a line without its line feed, that says what failed."""
    return msgspec.json.encode({"error": text})


class _Error(msgspec.Struct):
    error: object


def _said(error: GatewayError) -> _Error | None:
    """Return what a host said that may be passed on; None when there is no such thing."""
    said = error.refusal
    if said is None or (isinstance(error, HostRefused) and b"signin_url" not in said.body):
        return None
    try:
        return msgspec.json.decode(said.body, type=_Error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
