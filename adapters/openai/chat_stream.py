"""Encoding of streamed chat answers: chunks of one choice or of several (wire.md 11.1).

What does not change within a stream is encoded once; per token only its text is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from adapters import accounting
from adapters.errors import GatewayError
from adapters.framing import DONE, sse
from adapters.openai.chat_answer import Head, arguments, extras, finish_reason, logprobs, logprobs_object, shared
from adapters.openai.errors import encode_error
from adapters.openai.stream import EventStream
from adapters.openai.usage import usage_object
from adapters.types import Delta, Event, Failure, Finish, TokenLogprob, ToolCall, Usage

_encode = msgspec.json.Encoder().encode

_ROLE_WITH_TEXT = b'{"role":"assistant","content":"","refusal":null}'
_ROLE_WITHOUT_TEXT = b'{"role":"assistant","content":null,"refusal":null}'


class StreamEncoder(EventStream):
    """Encodes events as the server-sent events of one streamed answer.

    The role chunk comes with the first piece of the answer. After a `Finish` or a failure nothing follows.
    One per request; not thread-safe.

    Args:
        head: What the answer is.
        include_usage: Whether the stream ends with its usage.
        index: Which choice of the answer it is.
        alone: Whether it is the only one, so that the stream ends with it.

    Attributes:
        ended: Whether the last event was a `Finish` or a failure.
    """

    __slots__ = (
        "_after_text", "_alone", "_close", "_delta", "_head", "_include_usage", "_open", "_started", "_text",
    )  # fmt: skip

    def __init__(self, head: Head, *, include_usage: bool, index: int = 0, alone: bool = True) -> None:
        super().__init__()
        self._head = head
        self._include_usage = include_usage
        self._alone = alone
        self._open = b"data: " + _encode(shared(head, "chat.completion.chunk"))[:-1] + b',"choices":['
        self._close = b'],"usage":null}\n\n' if include_usage else b"]}\n\n"
        self._delta = b'{"index":%d,"delta":' % index
        self._text = self._open + self._delta + b'{"content":'
        self._after_text = b'},"logprobs":null,"finish_reason":null}' + self._close
        self._started = False

    def begin(self) -> bytes:
        """Return the role chunk of an answer that has not said anything yet; nothing when it has."""
        if self._started:
            return b""
        self._started = True
        return self._chunk(_ROLE_WITHOUT_TEXT)

    def encode(self, events: Sequence[Event]) -> bytes:
        """Return the bytes for these events, possibly none."""
        chunks: list[bytes] = []
        for event in events:
            if self.ended:
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

    def end(self, usage: Usage, found: dict[str, Any] | None = None) -> bytes:
        """Return the end of a stream after all its choices have ended.

        Args:
            usage: What they took together.
            found: What else stands once in an answer, beside a usage that is wanted.
        """
        if not self._include_usage:
            return DONE
        return self._finish_chunk(self._open, {"usage": usage_object(usage)} | (found or {})) + DONE

    def _add_pieces(self, chunks: list[bytes], delta: Delta) -> None:
        """Add the chunks of any delta: thinking, then text, then calls."""
        text, thinking, calls, found = delta.text, delta.thinking, delta.tool_calls, logprobs(delta)
        if not self._started and (text or thinking or calls or found):
            self._started = True
            only_calls = calls and not (text or thinking)
            chunks.append(self._chunk(_ROLE_WITHOUT_TEXT if only_calls else _ROLE_WITH_TEXT))
        if thinking:
            told = _encode(thinking)
            chunks.append(self._chunk(b'{"reasoning":%b,"reasoning_content":%b}' % (told, told)))
        if text or found:
            chunks.append(self._chunk(_encode({"content": text} if text else {}), found))
        for call in calls:
            chunks.extend(self._chunk(_encode(fragment)) for fragment in self._fragments(call))

    def _fragments(self, call: ToolCall) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a call in the two fragments that OpenAI sends at least: what it is, and its arguments."""
        opening = {"name": call.name, "arguments": ""}
        rest = {"arguments": arguments(call)}
        if self._head.legacy_functions:
            return {"function_call": opening}, {"function_call": rest}
        first = {"index": call.index, "id": call.id, "type": "function", "function": opening}
        return {"tool_calls": [first]}, {"tool_calls": [{"index": call.index, "function": rest}]}

    def _add_end(self, chunks: list[bytes], finish: Finish) -> None:
        """Add the finish chunk, and the end of the stream when no other choice is awaited."""
        if not self._started:
            chunks.append(self._chunk(_ROLE_WITH_TEXT))
        self.ended = True
        reason = _encode(finish_reason(finish, self._head))
        last = self._open + self._delta + b'{},"logprobs":null,"finish_reason":' + reason + b"}"
        if not self._alone:
            null_usage: dict[str, Any] = {"usage": None} if self._include_usage else {}
            chunks.append(self._finish_chunk(last, null_usage | extras(self._head, finish)))
        elif self._include_usage:
            chunks += (last, self._close, self.end(finish.usage, extras(self._head, finish)))
        else:
            chunks += (self._finish_chunk(last, extras(self._head, finish)), DONE)

    @staticmethod
    def _finish_chunk(begun: bytes, found: dict[str, Any]) -> bytes:
        """Return a chunk that is open after its choices, with what else stands in it."""
        # An object's members without its opening brace continue the chunk, its closing brace closes it.
        rest = b"," + _encode(found)[1:] if found else b"}"
        return b"".join((begun, b"]", rest, b"\n\n"))

    def _chunk(self, delta: bytes, found: tuple[TokenLogprob, ...] = ()) -> bytes:
        """Return a chunk whose delta is encoded already."""
        told = _encode(logprobs_object(found)) if found else b"null"
        rest = b'%b,"logprobs":%b,"finish_reason":null}' % (delta, told)
        return b"".join((self._open, self._delta, rest, self._close))


class ChoicesStreamEncoder:
    """Encodes the events of several choices as the server-sent events of one streamed answer.

    Each choice has its own role chunk, pieces and finish chunk, which also carries its `ollama`; usage and the end mark
    follow when all have ended. Metadata stands beside the usage; without one, in the first choice's finish chunk. After
    the failure of a choice nothing follows.

    Choices begin in the order of their indexes: the SDK for Python puts a choice into its list when it begins, and
    finds it by its index afterwards.
    """

    __slots__ = ("_finishes", "_head", "_open")

    def __init__(self, head: Head, n: int, *, include_usage: bool) -> None:
        bare = replace(head, metadata=None)
        self._open = {
            index: StreamEncoder(
                bare if include_usage or index else head, include_usage=include_usage, index=index, alone=False
            )
            for index in range(n)
        }
        self._head = head
        self._finishes: list[Finish] = []

    @property
    def ended(self) -> bool:
        """Whether all have ended, or one has failed."""
        return not self._open

    def encode(self, placed: Sequence[tuple[int, Sequence[Event]]]) -> bytes:
        """Return the bytes for these events, each with the index of their choice."""
        chunks = []
        for index, events in placed:
            choice = self._open.get(index)
            if choice is None:
                continue
            chunks += [before.begin() for place, before in self._open.items() if place < index]
            chunks.append(choice.encode(events))
            if choice.ended:
                self._take_end(chunks, index, next(event for event in events if isinstance(event, (Finish, Failure))))
        return b"".join(chunks)

    def fail(self, error: GatewayError) -> bytes:
        """Return the event that tells of a failure and ends the stream; nothing when it has ended already."""
        if self.ended:
            return b""
        self._open.clear()
        return sse(encode_error(error))

    def _take_end(self, chunks: list[bytes], index: int, end: Finish | Failure) -> None:
        """Take up how a choice ended, and add the end of the stream when it was the last one."""
        choice = self._open.pop(index)
        if isinstance(end, Failure):
            self._open.clear()
            return
        self._finishes.append(end)
        if not self._open:
            usage = accounting.choices([finish.usage for finish in self._finishes])
            chunks.append(choice.end(usage, extras(self._head)))
