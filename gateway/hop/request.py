"""Calls and streamed bodies to bytes on the wire (RFC 9112)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Sequence

from adapters.errors import InvalidRequest
from adapters.types import Call
from gateway.hop.origin import Origin

_METHOD = re.compile(r"[A-Z]+").fullmatch
_TARGET = re.compile(r"/[!-\"$-~]*").fullmatch
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+").fullmatch
_FORBIDDEN_IN_VALUE = re.compile(rb"[\0\r\n]").search

_OWNED = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"te", b"trailer", b"upgrade"}
)
"""Headers that belong to one connection. A call that brings one of them would contradict what the hop does."""

_BODY_EXPECTED = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose empty body is announced with `content-length: 0` (RFC 9110, 8.6)."""


class Upload:
    """A request body that is sent piece by piece.

    Attributes:
        pieces: Where the body comes from.
        length: Its length in bytes, if known; without it the body is sent chunked.
    """

    __slots__ = ("_sent", "length", "pieces")

    def __init__(self, pieces: AsyncIterable[bytes], length: int | None) -> None:
        self.pieces = pieces
        self.length = length
        self._sent = 0

    def encode(self, piece: bytes) -> bytes:
        """Return one piece as it goes on the wire.

        Raises:
            InvalidRequest: The body is longer than its announced length.
        """
        if self.length is None:
            # An empty chunk would be the end of the body.
            return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
        self._sent += len(piece)
        if self._sent > self.length:
            raise InvalidRequest(f"The request's body is longer than its content-length of {self.length} bytes.")
        return piece

    def encode_end(self) -> bytes:
        """Return what follows the last piece.

        Raises:
            InvalidRequest: The body is shorter than its announced length.
        """
        if self.length is None:
            return b"0\r\n\r\n"
        if self._sent < self.length:
            raise InvalidRequest(
                f"The request's body ended after {self._sent} of the {self.length} bytes that its content-length says."
            )
        return b""


class RequestEncoder:
    """Writes the header blocks of requests to one host; what is the same in all of them is prepared once.

    Raises:
        ValueError: One of the host's own headers is malformed, or is the connection's business.
    """

    def __init__(self, origin: Origin, headers: Sequence[tuple[bytes, bytes]]) -> None:
        constant = [(name.lower(), value) for name, value in headers]
        if origin.authorization:
            if any(name == b"authorization" for name, _ in constant):
                raise ValueError("A host must not have both a password in its URL and an Authorization header.")
            constant.append((b"authorization", origin.authorization))
        for name, value in constant:
            if name in _OWNED or not _NAME(name) or _FORBIDDEN_IN_VALUE(value):
                raise ValueError(f"The header {name.decode('latin-1')!r} cannot be sent to a host.")
        self._prefix = origin.prefix
        self._constant_names = frozenset(name for name, _ in constant)
        self._after_target = b"".join(
            [b" HTTP/1.1\r\nhost: ", origin.authority.encode(), b"\r\n"]
            + [b"%b: %b\r\n" % header for header in constant]
        )

    def encode(self, call: Call, upload: Upload | None) -> bytes:
        """Return the header block for a call whose body is `upload`, or else the call's own.

        A header that the host's configuration sets replaces the call's of the same name.

        Raises:
            InvalidRequest: The target or a header's value has a character that would break out of its place.
            ValueError: The call is not one that can be forwarded: a defect of whoever made it.
        """
        if not _METHOD(call.method) or call.method == "CONNECT":
            raise ValueError(f"The method {call.method!r} cannot be forwarded.")
        if not _TARGET(call.target):
            raise InvalidRequest("The path has a character that must be percent-encoded.")
        parts = [f"{call.method} {self._prefix}{call.target}".encode(), self._after_target]
        for name, value in call.headers:
            if name in self._constant_names:
                continue
            if name in _OWNED or not _NAME(name):
                raise ValueError(f"A call must not bring the header {name.decode('latin-1')!r}.")
            if _FORBIDDEN_IN_VALUE(value):
                raise InvalidRequest(f"The header {name.decode()} has a line break or a NUL in its value.")
            parts.append(b"%b: %b\r\n" % (name, value))
        parts.append(self._framing(call, upload))
        return b"".join(parts)

    @staticmethod
    def _framing(call: Call, upload: Upload | None) -> bytes:
        """Return the header that says where the body ends, and the end of the header block."""
        length = len(call.body) if upload is None else upload.length
        if length is None:
            return b"transfer-encoding: chunked\r\n\r\n"
        if length or upload is not None or call.method in _BODY_EXPECTED:
            return b"content-length: %d\r\n\r\n" % length
        return b"\r\n"
