"""Encoding of chat answers: a stream of chunks, or one `chat.completion` (wire.md 11.1).

Both are folds over the same events. What does not change within a stream is encoded once; per token only its text is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from adapters.errors import GatewayError, HostBroken
from adapters.framing import DONE, sse
from adapters.openai.errors import encode_error
from adapters.openai.usage import ollama_object, usage_object
from adapters.types import Delta, Event, Failure, Finish, TokenLogprob, ToolCall

_encode = msgspec.json.Encoder().encode

_ROLE_WITH_TEXT = b'{"role":"assistant","content":"","refusal":null}'
_ROLE_WITHOUT_TEXT = b'{"role":"assistant","content":null,"refusal":null}'


class Head(Struct, frozen=True, kw_only=True):
    """What all pieces of one answer share.

    Attributes:
        id: The answer's unique id.
        created: Seconds since the epoch.
        model: The model as the caller named it.
        fingerprint: What answered, for `system_fingerprint`.
        metadata: The caller's own notes, given back once.
    """

    id: str
    created: int
    model: str
    fingerprint: str | None = None
    metadata: dict[str, str] | None = None


class StreamEncoder:
    """Encodes events as the server-sent events of one streamed answer.

    The role chunk comes with the first piece of the answer. After a `Finish` or a failure nothing follows.
    One per request; not thread-safe.
    """

    __slots__ = ("_after_text", "_close", "_ended", "_head", "_include_usage", "_open", "_started", "_text")

    def __init__(self, head: Head, *, include_usage: bool) -> None:
        self._head = head
        self._include_usage = include_usage
        self._open = b"data: " + _encode(_shared(head, "chat.completion.chunk"))[:-1] + b',"choices":['
        self._close = b'],"usage":null}\n\n' if include_usage else b"]}\n\n"
        self._text = self._open + b'{"index":0,"delta":{"content":'
        self._after_text = b'},"logprobs":null,"finish_reason":null}' + self._close
        self._started = False
        self._ended = False

    def encode(self, events: Sequence[Event]) -> bytes:
        """Return the bytes for these events, possibly none."""
        chunks: list[bytes] = []
        for event in events:
            if self._ended:
                break
            if isinstance(event, Delta):
                if self._started and not (event.thinking or event.tool_calls or event.logprobs):
                    if event.text:
                        chunks += (self._text, _encode(event.text), self._after_text)
                else:
                    self._add_pieces(chunks, event)
            elif isinstance(event, Finish):
                self._add_end(chunks, event)
            elif isinstance(event, Failure):
                chunks.append(self.fail(event.error))
        return b"".join(chunks)

    def fail(self, error: GatewayError) -> bytes:
        """Return the event that tells of a failure and ends the stream; nothing when it has ended already."""
        if self._ended:
            return b""
        self._ended = True
        return sse(encode_error(error))

    def _add_pieces(self, chunks: list[bytes], delta: Delta) -> None:
        """Add the chunks of any delta: thinking, then text, then calls."""
        text, thinking, calls, logprobs = delta.text, delta.thinking, delta.tool_calls, _logprobs(delta)
        if not self._started and (text or thinking or calls or logprobs):
            self._started = True
            only_calls = calls and not (text or thinking)
            chunks.append(self._chunk(_ROLE_WITHOUT_TEXT if only_calls else _ROLE_WITH_TEXT))
        if thinking:
            told = _encode(thinking)
            chunks.append(self._chunk(b'{"reasoning":%b,"reasoning_content":%b}' % (told, told)))
        if text or logprobs:
            chunks.append(self._chunk(_encode({"content": text} if text else {}), logprobs))
        for call in calls:
            chunks.extend(self._chunk(_encode({"tool_calls": [fragment]})) for fragment in _fragments(call))

    def _add_end(self, chunks: list[bytes], finish: Finish) -> None:
        """Add the finish chunk, the usage chunk if it is wanted, and the end mark."""
        if not self._started:
            chunks.append(self._chunk(_ROLE_WITH_TEXT))
        self._ended = True
        final = self._open + b'{"index":0,"delta":{},"logprobs":null,"finish_reason":' + _encode(finish.reason) + b"}"
        extras = _extras(self._head, finish)
        if self._include_usage:
            chunks += (final, self._close)
            final, extras = self._open, {"usage": usage_object(finish.usage), **extras}
        # An object's members without its opening brace continue the chunk, its closing brace closes it.
        rest = b"," + _encode(extras)[1:] if extras else b"}"
        chunks += (final, b"]", rest, b"\n\n", DONE)

    def _chunk(self, delta: bytes, logprobs: tuple[TokenLogprob, ...] = ()) -> bytes:
        """Return a chunk whose delta is encoded already."""
        shown = _encode(_logprobs_object(logprobs)) if logprobs else b"null"
        choice = b'{"index":0,"delta":%b,"logprobs":%b,"finish_reason":null}' % (delta, shown)
        return b"".join((self._open, choice, self._close))


class AnswerEncoder:
    """Folds the events of one answer into a single `chat.completion`.

    One per request; not thread-safe.
    """

    __slots__ = ("_calls", "_finish", "_head", "_logprobs", "_text", "_thinking")

    def __init__(self, head: Head) -> None:
        self._head = head
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._calls: list[ToolCall] = []
        self._logprobs: list[TokenLogprob] = []
        self._finish: Finish | None = None

    def feed(self, events: Sequence[Event]) -> None:
        """Take up the next events. After a `Finish` nothing counts.

        Raises:
            GatewayError: One of the events is a failure.
        """
        for event in events:
            if self._finish is not None:
                return
            if isinstance(event, Delta):
                self._text.append(event.text)
                self._thinking.append(event.thinking)
                self._calls.extend(event.tool_calls)
                self._logprobs.extend(_logprobs(event))
            elif isinstance(event, Finish):
                self._finish = event
            elif isinstance(event, Failure):
                raise event.error

    def encode(self) -> bytes:
        """Return the whole answer.

        Raises:
            HostBroken: The answer has no end.
        """
        finish = self._finish
        if finish is None:
            raise HostBroken("The model's answer broke off before its end.")
        choice = {
            "index": 0,
            "message": self._message(),
            "logprobs": _logprobs_object(tuple(self._logprobs)),
            "finish_reason": finish.reason,
        }
        answer = _shared(self._head, "chat.completion")
        answer |= {"choices": [choice], "usage": usage_object(finish.usage), **_extras(self._head, finish)}
        return _encode(answer)

    def _message(self) -> dict[str, Any]:
        text = "".join(self._text)
        thinking = "".join(self._thinking)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": text if text or not self._calls else None,
            "refusal": None,
            "annotations": [],
        }
        if thinking:
            message["reasoning"] = message["reasoning_content"] = thinking
        if self._calls:
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _arguments(call)}}
                for call in self._calls
            ]
        return message


def _shared(head: Head, kind: str) -> dict[str, Any]:
    return {
        "id": head.id,
        "object": kind,
        "created": head.created,
        "model": head.model,
        "service_tier": "default",
        "system_fingerprint": head.fingerprint,
    }


def _extras(head: Head, finish: Finish) -> dict[str, Any]:
    """Return what stands once in an answer: at the end of its last piece."""
    extras: dict[str, Any] = {}
    if head.metadata is not None:
        extras["metadata"] = head.metadata
    if account := ollama_object(finish):
        extras["ollama"] = account
    return extras


def _fragments(call: ToolCall) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a call in the two fragments that OpenAI sends at least: what it is, and its arguments."""
    opening = {"name": call.name, "arguments": ""}
    return (
        {"index": call.index, "id": call.id, "type": "function", "function": opening},
        {"index": call.index, "function": {"arguments": _arguments(call)}},
    )


def _arguments(call: ToolCall) -> str:
    # A host's own bytes, whose strings nobody has decoded yet, may not be UTF-8.
    return str(call.arguments, "utf-8", "replace")


def _logprobs(delta: Delta) -> tuple[TokenLogprob, ...]:
    """Return the log probabilities of a delta's answer tokens; those of pure thinking have no place in an answer."""
    return () if delta.thinking and not delta.text else delta.logprobs


def _logprobs_object(logprobs: tuple[TokenLogprob, ...]) -> dict[str, Any] | None:
    return {"content": logprobs, "refusal": None} if logprobs else None
