"""Encoding of streamed completions: `text_completion` objects as server-sent events (wire.md 5, 11.1).

What does not change within a stream is encoded once; per token only its text is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from adapters.framing import DONE
from adapters.openai.completions_answer import Head, TokenPlaces, shared, total_usage
from adapters.openai.completions_request import Completion
from adapters.openai.stream import EventStream
from adapters.openai.usage import ollama_object, usage_object
from adapters.types import Delta, Event, Failure, Finish, Usage

_encode = msgspec.json.Encoder().encode


class StreamEncoder(EventStream):
    """Encodes events as the server-sent events of one choice.

    After a `Finish` or a failure nothing follows. One per request; not thread-safe.

    Args:
        head: What the answer is.
        completion: What was asked for.
        index: Which choice of the answer it is.
        alone: Whether it is the only one, so that the stream ends with it.

    Attributes:
        ended: Whether the last event was a `Finish` or a failure.
    """

    __slots__ = ("_after_text", "_alone", "_close", "_echo", "_include_usage", "_open", "_places", "_text")

    def __init__(self, head: Head, completion: Completion, *, index: int = 0, alone: bool = True) -> None:
        super().__init__()
        self._alone = alone
        self._include_usage = completion.include_usage
        self._open = b"data: " + _encode(shared(head))[:-1] + b',"choices":['
        self._close = b'],"usage":null}\n\n' if completion.include_usage else b"]}\n\n"
        self._text = self._open + b'{"index":%d,"text":' % index
        self._after_text = b',"logprobs":null,"finish_reason":null}' + self._close
        self._echo = completion.prompts[index // completion.n] if completion.echo else ""
        self._places = None if completion.logprobs is None else TokenPlaces()

    def encode(self, events: Sequence[Event]) -> bytes:
        """Return the bytes for these events, possibly none."""
        chunks: list[bytes] = []
        if self._echo and events and not isinstance(events[0], Failure):
            chunks += (self._text, _encode(self._echo), self._after_text)
            self._echo = ""
        for event in events:
            if self.ended:
                break
            if isinstance(event, Delta):
                if event.thinking or self._places is not None:
                    self._add_pieces(chunks, event)
                elif event.text:
                    chunks += (self._text, _encode(event.text), self._after_text)
            elif isinstance(event, Failure):
                chunks.append(self.fail(event.error))
            else:
                assert isinstance(event, Finish)  # no text is answered with vectors
                self._add_end(chunks, event)
        return b"".join(chunks)

    def end(self, usage: Usage, account: dict[str, Any] | None = None) -> bytes:
        """Return the end of a stream after all its choices have ended.

        Args:
            usage: What they took together.
            account: What the host of the only choice says of its work.
        """
        if not self._include_usage:
            return DONE
        found: dict[str, Any] = {"usage": usage_object(usage)}
        if account:
            found["ollama"] = account
        return b"".join((self._open, b"],", _encode(found)[1:], b"\n\n", DONE))

    def _add_pieces(self, chunks: list[bytes], delta: Delta) -> None:
        """Add the chunks of any delta: thinking, then text with its tokens."""
        if delta.thinking:
            chunks += (self._text, b'"","reasoning":', _encode(delta.thinking), self._after_text)
        places = self._places
        logprobs = places.logprobs_object(delta.text, delta.logprobs) if places is not None else None
        if delta.text or logprobs:
            told = b',"logprobs":%b,"finish_reason":null}' % _encode(logprobs)
            chunks += (self._text, _encode(delta.text), told, self._close)

    def _add_end(self, chunks: list[bytes], finish: Finish) -> None:
        """Add the finish chunk, and the end of the stream when no other choice is awaited."""
        self.ended = True
        account = ollama_object(finish)
        told = b',"ollama":' + _encode(account) if account else b""
        chunks += (self._text, b'"","logprobs":null,"finish_reason":', _encode(finish.reason))
        if not self._alone:
            chunks += (told, b"}", self._close)
        elif self._include_usage:
            chunks += (b"}", self._close, self.end(finish.usage, account))
        else:
            chunks += (b"}]", told, b"}\n\n", DONE)


class ChoicesStreamEncoder(EventStream):
    """Encodes the events of several choices as the server-sent events of one streamed answer.

    Each choice has its own pieces and finish chunk, which also carries its `ollama`; usage and the end mark follow when
    all have ended.

    Attributes:
        ended: Whether all have ended, or one has failed.
    """

    __slots__ = ("_choices", "_completion", "_usages")

    def __init__(self, head: Head, completion: Completion) -> None:
        super().__init__()
        self._completion = completion
        count = len(completion.prompts) * completion.n
        self._choices = [StreamEncoder(head, completion, index=index, alone=False) for index in range(count)]
        self._usages: dict[int, Usage] = {}

    def encode(self, placed: Sequence[tuple[int, Sequence[Event]]]) -> bytes:
        """Return the bytes for these events, each with the index of their choice."""
        chunks = []
        for index, events in placed:
            if self.ended:
                break
            chunks.append(self._choices[index].encode(events))
            last = events[-1]
            if isinstance(last, Finish):
                self._usages[index] = last.usage
            elif isinstance(last, Failure):
                self.ended = True
        if len(self._usages) == len(self._choices) and not self.ended:
            self.ended = True
            usages = [self._usages[index] for index in range(len(self._choices))]
            chunks.append(self._choices[0].end(total_usage(usages, self._completion)))
        return b"".join(chunks)
