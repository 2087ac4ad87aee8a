"""What the answers to all calls for text have in common: lines, an end, counts, failures (wire.md 1.5, 1.7)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct, field

from adapters.errors import GatewayError, HostBroken
from adapters.framing import Lines, LineTooLongError
from adapters.ollama.errors import decode_error
from adapters.types import Event, Failure, Finish, TokenLogprob, Usage

LINE_LIMIT = 8 * 1024 * 1024
"""The longest line in bytes: that of Ollama's own client (wire.md 1.1)."""

_Count = Annotated[int, Meta(ge=0)]


class Called(Struct, gc=False):
    """A function that a model calls."""

    name: str
    arguments: Raw = Raw(b"{}")


class CalledTool(Struct, gc=False):
    """A call of a tool within a frame."""

    function: Called
    id: str = ""


class Frame(Struct, gc=False, kw_only=True):
    """One line of an answer, as far as lines of all answers are alike. What it does not name is passed over unread.

    Its fields are for keywords only so that those of each kind of answer, which are in every line, are found first.
    """

    done: bool = False
    error: Any = None
    logprobs: tuple[TokenLogprob, ...] = ()
    done_reason: str = ""
    total_duration: _Count = 0
    load_duration: _Count = 0
    prompt_eval_count: _Count = 0
    prompt_eval_cached_count: _Count | None = None
    prompt_eval_duration: _Count = 0
    eval_count: _Count = 0
    eval_duration: _Count = 0
    debug: dict[str, Any] | None = field(default=None, name="_debug_info")


AnyFrame = TypeVar("AnyFrame", bound=Frame)

_TIMINGS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration", "done_reason")

_CHARACTERS_PER_TOKEN = 4
"""For the estimate of a usage that the host does not give."""


class AnswerDecoder(ABC, Generic[AnyFrame]):
    """Reads a host's answer, a stream of lines or one object alike. Made for one answer.

    Nothing that a host sends makes it raise: what is no answer becomes a `Failure`. After a `Finish` or a `Failure`
    there are no more events.

    Args:
        decode: Reads one line.
        prompt_characters: How long the prompt is, for an estimate of its tokens.
        num_predict: The limit of tokens that was asked for; it tells why an answer ended that does not say so.
        model: The model as the caller named it, for errors.
        limit: The longest line, in bytes.

    Attributes:
        finished: Whether the last event was a `Finish` or a `Failure`.
    """

    _prompt: ClassVar[str] = "messages"
    """The caller's field that holds the prompt, for errors."""

    _names: ClassVar[Mapping[str, str]] = {}
    """The caller's names of other fields, where they are not those of a chat."""

    def __init__(
        self,
        decode: Callable[[bytes], AnyFrame],
        *,
        prompt_characters: int = 0,
        num_predict: int | None = None,
        model: str = "",
        limit: int = LINE_LIMIT,
    ) -> None:
        self.finished = False
        self._decode = decode
        self._prompt_characters = prompt_characters
        self._num_predict = num_predict
        self._model = model
        self._lines = Lines(limit)
        self._begun = False
        self._pieces = 0
        self._said = 0
        self._thought = 0
        self._calls = 0

    def feed(self, data: bytes) -> list[Event]:
        """Return what these bytes complete."""
        events: list[Event] = []
        if self.finished:
            return events
        try:
            self._read(self._lines.feed(data), events)
        except LineTooLongError as error:
            self._read(error.before, events)
            if not self.finished:
                self._flush(events)
                events.append(self._fail(_unreadable("a line is over its limit")))
        return events

    def close(self, *, framed: bool = True) -> list[Event]:
        """Return what the end of the body leaves to say.

        A host that aborts a repetition ends its answer without a word (wire.md 1.5). The caller gets a `Finish` all the
        same, with a usage that is estimated.

        Args:
            framed: Whether HTTP says where the body ends. Where only the connection's end does, an answer without its
                last line is one that was cut.
        """
        events: list[Event] = []
        if self.finished:
            return events
        self._read(self._lines.close(), events)
        if not self.finished:
            self._flush(events)
            events.append(self._end_unsaid(framed=framed))
        return events

    @abstractmethod
    def _take(self, frame: AnyFrame, events: list[Event]) -> bool:
        """Add what a frame says, and count it; return whether the frame is part of an answer at all."""

    def _flush(self, events: list[Event]) -> None:
        """Add what was held back, for there is no more to come."""

    def _timings(self, frame: AnyFrame) -> dict[str, Any]:
        """Return what a last frame says about the host's work."""
        timings = {name: value for name in _TIMINGS if (value := getattr(frame, name))}
        if frame.debug is not None:
            timings["_debug_info"] = frame.debug
        return timings

    def _read(self, lines: list[bytes], events: list[Event]) -> None:
        decode = self._decode
        for line in lines:
            try:
                frame = decode(line)
                if frame.error is None and self._take(frame, events):
                    self._begun = True
                    if not frame.done and frame.debug is None:
                        continue
                self._flush(events)
                events.append(self._end(frame, len(line)))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                if not line.strip():
                    continue
                self._flush(events)
                events.append(self._fail(_unreadable(f"{error}, in a line of {len(line)} bytes")))
            return

    def _end(self, frame: AnyFrame, length: int) -> Finish | Failure:
        """Return the event of a frame after which nothing comes, from a line of this many bytes."""
        if frame.error is not None:
            # Without the rest of the line, which may be a part of the answer and would go to the log.
            body = msgspec.json.encode({"error": frame.error})
            return self._fail(decode_error(500, body, self._model, prompt=self._prompt, names=self._names))
        if not frame.done and frame.debug is None:
            return self._fail(_unreadable(f"no part of an answer, in a line of {length} bytes"))
        usage = Usage(
            prompt=frame.prompt_eval_count,
            completion=frame.eval_count,
            cached=frame.prompt_eval_cached_count,
            thinking=self._share_of_thinking(frame.eval_count),
        )
        return self._finish(usage, self._timings(frame), cut=frame.done_reason == "length")

    def _end_unsaid(self, *, framed: bool) -> Finish | Failure:
        """Return the end that the host did not send."""
        if not framed:
            return self._fail(HostBroken("The host closed the connection before the answer was whole."))
        if not self._begun:
            return self._fail(_unreadable("the body is empty"))
        # A piece of a stream is at least one token; an answer in one piece is told by its length.
        completion = max(self._pieces, _tokens(self._said + self._thought))
        usage = Usage(
            prompt=_tokens(self._prompt_characters),
            completion=completion,
            thinking=self._share_of_thinking(completion),
            estimated=True,
        )
        limit = self._num_predict or 0
        return self._finish(usage, {}, cut=0 < limit <= completion)

    def _finish(self, usage: Usage, timings: dict[str, Any], *, cut: bool) -> Finish:
        self.finished = True
        reason: Literal["stop", "length", "tool_calls"] = "length" if cut else "tool_calls" if self._calls else "stop"
        return Finish(reason=reason, usage=usage, timings=timings)

    def _fail(self, error: GatewayError) -> Failure:
        self.finished = True
        return Failure(error)

    def _share_of_thinking(self, completion: int) -> int:
        characters = self._said + self._thought
        return round(completion * self._thought / characters) if characters else 0


def _tokens(characters: int) -> int:
    return -(-characters // _CHARACTERS_PER_TOKEN)


def _unreadable(detail: str) -> HostBroken:
    """Return the error of what is no answer. The detail goes to the log and so holds no word of the answer."""
    return HostBroken("The host's answer cannot be read, or is not whole. Try again.", detail=detail)
