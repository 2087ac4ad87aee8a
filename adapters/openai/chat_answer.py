"""Encoding of whole chat answers: one `chat.completion` (wire.md 11.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from adapters import accounting
from adapters.errors import HostBroken
from adapters.openai.usage import ollama_object, usage_object
from adapters.types import Delta, Event, Failure, Finish, TokenLogprob, ToolCall


class Head(Struct, frozen=True, kw_only=True):
    """What all pieces of one answer share.

    Attributes:
        id: The answer's unique id.
        created: Seconds since the epoch.
        model: The model as the caller named it.
        fingerprint: What answered, for `system_fingerprint`.
        metadata: The caller's own notes, given back once.
        legacy_functions: Whether a call stands in `function_call`, where callers of the legacy `functions` look for it.
    """

    id: str
    created: int
    model: str
    fingerprint: str | None = None
    metadata: dict[str, str] | None = None
    legacy_functions: bool = False


class AnswerEncoder:
    """Folds the events of one answer, or of several choices, into a single `chat.completion`.

    One per request; not thread-safe.

    Args:
        head: What the answer is.
        n: How many choices it has.
    """

    __slots__ = ("_choices", "_head")

    def __init__(self, head: Head, n: int = 1) -> None:
        self._head = head
        self._choices = [_Choice() for _ in range(n)]

    def feed(self, events: Sequence[Event], index: int = 0) -> None:
        """Take up the next events of a choice. After a `Finish` nothing counts.

        Raises:
            GatewayError: One of the events is a failure.
        """
        self._choices[index].feed(events)

    def encode(self) -> bytes:
        """Return the whole answer.

        Raises:
            HostBroken: A choice has no end.
        """
        head = self._head
        answer = shared(head, "chat.completion")
        if len(self._choices) == 1:
            [one] = self._choices
            finish = one.end()
            answer |= {"choices": [one.encode(0, head)], "usage": usage_object(finish.usage), **extras(head, finish)}
            return msgspec.json.encode(answer)
        finishes = [choice.end() for choice in self._choices]
        choices = [choice.encode(index, head) for index, choice in enumerate(self._choices)]
        for choice, finish in zip(choices, finishes, strict=True):
            if account := ollama_object(finish):
                choice["ollama"] = account
        usage = accounting.choices([finish.usage for finish in finishes])
        answer |= {"choices": choices, "usage": usage_object(usage), **extras(head)}
        return msgspec.json.encode(answer)


class _Choice:
    """One choice of an answer, as its events come."""

    __slots__ = ("_calls", "_finish", "_logprobs", "_text", "_thinking")

    def __init__(self) -> None:
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._calls: list[ToolCall] = []
        self._logprobs: list[TokenLogprob] = []
        self._finish: Finish | None = None

    def feed(self, events: Sequence[Event]) -> None:
        for event in events:
            if self._finish is not None:
                return
            if isinstance(event, Delta):
                self._text.append(event.text)
                self._thinking.append(event.thinking)
                self._calls.extend(event.tool_calls)
                self._logprobs.extend(logprobs(event))
            elif isinstance(event, Finish):
                self._finish = event
            elif isinstance(event, Failure):
                raise event.error

    def end(self) -> Finish:
        if self._finish is None:
            raise HostBroken("The model's answer broke off before its end.")
        return self._finish

    def encode(self, index: int, head: Head) -> dict[str, Any]:
        return {
            "index": index,
            "message": self._message(legacy=head.legacy_functions),
            "logprobs": logprobs_object(tuple(self._logprobs)),
            "finish_reason": finish_reason(self.end(), head),
        }

    def _message(self, *, legacy: bool) -> dict[str, Any]:
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
        if self._calls and legacy:
            call = self._calls[0]
            message["function_call"] = {"name": call.name, "arguments": arguments(call)}
        elif self._calls:
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments(call)}}
                for call in self._calls
            ]
        return message


# --- what whole answers and streams share -----------------------------------------------------------------------------


def shared(head: Head, kind: str) -> dict[str, Any]:
    """Return what stands in an answer, and in each chunk of a stream, whatever it says."""
    return {
        "id": head.id,
        "object": kind,
        "created": head.created,
        "model": head.model,
        "service_tier": "default",
        "system_fingerprint": head.fingerprint,
    }


def extras(head: Head, finish: Finish | None = None) -> dict[str, Any]:
    """Return what stands once in an answer: at the end of its last piece."""
    found: dict[str, Any] = {}
    if head.metadata is not None:
        found["metadata"] = head.metadata
    if finish is not None and (account := ollama_object(finish)):
        found["ollama"] = account
    return found


def finish_reason(finish: Finish, head: Head) -> str:
    """Return why an answer ended, as its caller reads it."""
    return "function_call" if finish.reason == "tool_calls" and head.legacy_functions else finish.reason


def arguments(call: ToolCall) -> str:
    """Return a call's arguments as text. A host's own bytes, whose strings nobody has decoded yet, may not be UTF-8."""
    return str(call.arguments, "utf-8", "replace")


def logprobs(delta: Delta) -> tuple[TokenLogprob, ...]:
    """Return the log probabilities of a delta's answer tokens; those of pure thinking have no place in an answer."""
    return () if delta.thinking and not delta.text else delta.logprobs


def logprobs_object(found: tuple[TokenLogprob, ...]) -> dict[str, Any] | None:
    """Return the object `logprobs` of a choice."""
    return {"content": found, "refusal": None} if found else None
