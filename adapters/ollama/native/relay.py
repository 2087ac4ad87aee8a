"""A host's answer on its way to a caller who speaks its dialect: the bytes as they are, and what they say at their end.

Whole lines are passed on as they come (wire.md 1.5). Only a line that ends the answer is read: for the counts, or
because it tells of a failure, which before the first line means that another host may be asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from adapters.errors import GatewayError, HostAnswer, HostBroken
from adapters.ollama.answer import LINE_LIMIT
from adapters.ollama.errors import decode_error
from adapters.ollama.native.errors import JSON, encode_line
from adapters.ollama.native.request import NativeRequest
from adapters.types import Event, Failure, Finish, Piece, Usage

WHOLE_LIMIT = 512 * 1024 * 1024
"""The largest answer that is not a stream, in bytes: the vectors of a hundred thousand texts."""

_PIECES = 4096
"""How many pieces are held before they are made one: a host that sends byte by byte must not fill the memory."""

_ENDS = re.compile(rb'"done":\s*true|"error":').search


class _End(Struct):
    """What is read of a last line, or of a whole answer. Any type will do, for it is passed on as it is."""

    done: Any = False
    done_reason: Any = ""
    prompt_eval_count: Any = 0
    prompt_eval_cached_count: Any = None
    eval_count: Any = 0
    error: Any = None


_decode = msgspec.json.Decoder(_End).decode

_VECTORS = b'"embeddings":[['
_VECTORS_END = b"]]"


class RelayDecoder:
    """Passes on a host's answer. Made for one answer; nothing that a host sends makes it raise.

    Args:
        request: What was asked.

    Attributes:
        finished: Whether the last event was a `Finish` or a `Failure`.
    """

    def __init__(self, request: NativeRequest) -> None:
        self.finished = False
        self._model = request.model
        self._limit = LINE_LIMIT if request.stream else WHOLE_LIMIT
        self._stream = request.stream
        self._rest: list[bytes] = []
        self._held = 0
        self._lines = 0

    def feed(self, data: bytes) -> list[Event]:
        """Return what these bytes complete."""
        if self.finished:
            return []
        end = data.rfind(b"\n") + 1 if self._stream else 0
        if self._held + len(data) - end > self._limit:
            return [self._fail(_unreadable(f"a line of more than {self._limit} bytes"))]
        lines = self._take(data[:end]) if end else b""
        if end < len(data):
            self._hold(data[end:])
        return self._pass(lines) if lines else []

    def close(self, *, framed: bool = True) -> list[Event]:
        """Return what the end of the body leaves to say.

        A host that aborts a repetition ends its answer without a word (wire.md 1.5), and so does the gateway.

        Args:
            framed: Whether HTTP says where the body ends, so that an end without a last line was meant.
        """
        if self.finished:
            return []
        rest = self._take(b"")
        if rest.strip():
            return self._end(rest, framed=framed)
        if not framed:
            return [self._fail(_cut())]
        if not self._lines:
            return [self._fail(_unreadable("the body is empty"))]
        return [self._finish(Usage(completion=self._lines, estimated=True))]

    def _take(self, more: bytes) -> bytes:
        """Return what was held back, and what follows it."""
        if not self._rest:
            return more
        taken = b"".join((*self._rest, more))
        self._rest.clear()
        self._held = 0
        return taken

    def _hold(self, piece: bytes) -> None:
        """Keep what is no whole line yet."""
        self._rest.append(piece)
        self._held += len(piece)
        if len(self._rest) > _PIECES:
            self._rest[:] = [b"".join(self._rest)]

    def _pass(self, lines: bytes) -> list[Event]:
        """Return whole lines as they are, up to the one that ends the answer."""
        if not self._lines and not lines.lstrip().startswith(b"{"):
            return [self._fail(_unreadable("it does not begin as JSON"))]
        self._lines += lines.count(b"\n")
        if _ENDS(lines) is None:
            return [Piece(lines)]
        at = 0
        for line in lines.split(b"\n"):
            if _ENDS(line) is not None and (last := self._last(line)) is not None:
                passed = lines[:at] if isinstance(last, Failure) else lines
                return [Piece(passed), last] if passed else [last]
            at += len(line) + 1
        return [Piece(lines)]

    def _last(self, line: bytes) -> Finish | Failure | None:
        """Return how a line ends the answer; None when it only looks as if it did."""
        try:
            end = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if end.error is not None:
            return self._fail(self._refused(line))
        return self._finish(_usage(end), end.done_reason) if end.done is True else None

    def _end(self, whole: bytes, *, framed: bool) -> list[Event]:
        """Return what a body says that has no line feed at its end: an answer in one piece, or one that was cut."""
        try:
            end = _read(whole)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return [self._fail(_unreadable(f"{error}, in {len(whole)} bytes"))]
        if end.error is not None:
            return [self._fail(self._refused(whole))]
        if self._stream and not framed and end.done is not True:  # a line that was cut just before its line feed
            return [self._fail(_cut())]
        return [Piece(whole), self._finish(_usage(end), end.done_reason)]

    def _refused(self, line: bytes) -> GatewayError:
        """Return the error that the host tells of within an answer of status 200."""
        error = decode_error(500, line, self._model)
        error.refusal = HostAnswer(500, JSON, line.strip())
        return error

    def _finish(self, usage: Usage, reason: Any = "") -> Finish:
        self.finished = True
        return Finish(reason="length" if reason == "length" else "stop", usage=usage)

    def _fail(self, error: GatewayError) -> Failure:
        self.finished = True
        return Failure(error)


class RelayEncoder:
    """Makes the bytes of a stream, with an end whatever happens.

    Attributes:
        ended: Whether nothing follows any more.
    """

    def __init__(self) -> None:
        self.ended = False

    def encode(self, events: Sequence[Event]) -> bytes:
        """Return the bytes for the next events; none at all is the end of what the host has to say."""
        if len(events) == 1 and isinstance(piece := events[0], Piece):
            return piece.data
        self.ended = not events or isinstance(events[-1], Finish | Failure)
        return b"".join(
            event.data if isinstance(event, Piece) else encode_line(event.error)
            for event in events
            if isinstance(event, Piece | Failure)
        )

    def fail(self, error: GatewayError) -> bytes:
        """Return the line that ends the answer with an error (wire.md 2)."""
        self.ended = True
        return encode_line(error)


def whole(events: Sequence[Event]) -> bytes:
    """Return the bytes of an answer that is there as a whole."""
    return b"".join(event.data for event in events if isinstance(event, Piece))


def _read(whole: bytes) -> _End:
    """Return what an answer says beside its vectors, whose numbers would take ten times as long to read as all else.

    Raises:
        DecodeError, UnicodeDecodeError, RecursionError: It is no JSON, as far as it is read.
    """
    begin, end = whole.find(_VECTORS), whole.rfind(_VECTORS_END)
    if 0 <= begin < end:
        try:
            return _decode(b'%b"embeddings":0%b' % (whole[:begin], whole[end + len(_VECTORS_END) :]))
        except msgspec.DecodeError:
            pass  # it is not written as Go writes it
    return _decode(whole)


def _usage(end: _End) -> Usage:
    cached = end.prompt_eval_cached_count
    return Usage(
        prompt=_count(end.prompt_eval_count),
        completion=_count(end.eval_count),
        cached=None if cached is None else _count(cached),
    )


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0


def _cut() -> HostBroken:
    return HostBroken("The host closed the connection before the answer was whole.")


def _unreadable(detail: str) -> HostBroken:
    return HostBroken("The host's answer cannot be read, or is not whole. Try again.", detail=detail)
