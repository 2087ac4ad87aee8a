"""The tool calls in a conversation's history, and the results that answer them."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec
from msgspec import Raw

from adapters.openai.fields import Fields, check_depth, missing, not_supported, shown
from adapters.types import ToolCall

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_NOTHING = Raw(b"{}")
_ANY = ""
"""In place of a function's name: whichever."""


class History:
    """The calls that a conversation has made so far.

    A host wants to know of each result both which call it answers and which function it comes from (wire.md 4, role
    `tool`); callers give one of the two, and those of the legacy `functions` only the name.
    """

    __slots__ = ("_answered", "_names", "_waiting")

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._answered: set[str] = set()
        self._waiting: dict[str, deque[str]] = {_ANY: deque()}

    def add(self, calls: tuple[ToolCall, ...]) -> None:
        """Take up the calls of an assistant's message."""
        for call in calls:
            self._names[call.id] = call.name
            self._answered.discard(call.id)
            self._waiting[_ANY].append(call.id)
            self._waiting.setdefault(call.name, deque()).append(call.id)

    def answer(self, result: Fields) -> tuple[str, str]:
        """Return the id and the function's name of the call that a result answers.

        A result without an id answers the oldest open call of its name, or the oldest of all when it has no name
        either. An id that the history does not know, because the caller cut its beginning off, stands as it is.

        Raises:
            InvalidRequest: There is neither an id nor a name, and no open call.
        """
        name = result.string("name") or _ANY
        call_id = result.string("tool_call_id") or self._oldest(name)
        if not call_id and name == _ANY:
            raise missing(result.at("name" if result.get("role") == "function" else "tool_call_id"))
        self._answered.add(call_id)
        return call_id, self._names.get(call_id) or name

    def _oldest(self, name: str) -> str:
        waiting = self._waiting.get(name, deque())
        while waiting:
            call_id = waiting.popleft()
            if call_id not in self._answered:
                return call_id
        return ""


def decode_calls(message: Fields, place: int) -> tuple[ToolCall, ...]:
    """Read the calls of an assistant's message, those of the legacy `function_call` included.

    A call without an id gets one from its place in the conversation: the same at every turn, as long as the caller
    only appends.

    Args:
        message: The assistant's message.
        place: Where it stands in the conversation, from 0.
    """
    calls = tuple(
        _decode_call(call, f"call_{place}_{index}", index) for index, call in enumerate(message.objects("tool_calls"))
    )
    legacy = message.object("function_call")
    if legacy is None:
        return calls
    return (*calls, _decode_function(legacy, f"call_{place}_{len(calls)}", len(calls)))


def _decode_call(call: Fields, default_id: str, index: int) -> ToolCall:
    kind = call.string("type") or "function"
    if kind != "function":
        message = f"Unsupported tool type: '{shown(kind)}'. Only calls of functions are supported."
        raise not_supported(call.at("type"), message)
    return _decode_function(call.required_object("function"), call.string("id") or default_id, index)


def _decode_function(function: Fields, call_id: str, index: int) -> ToolCall:
    name = function.required_text("name")
    arguments = _decode_arguments(function.get("arguments"), function.at("arguments"))
    return ToolCall(id=call_id, name=name, arguments=arguments, index=index)


def _decode_arguments(value: Any, path: str) -> Raw:
    """Return arguments, which are JSON as text or already an object, as the text of a JSON object.

    What a model once wrote must not make a conversation unusable. So what is no object is wrapped into one, as text.
    """
    if isinstance(value, dict):
        check_depth(value, path)
        return Raw(_encode(value))
    if value is None:
        return _NOTHING
    text = value.strip() if isinstance(value, str) else _encode(value).decode()
    if not text:
        return _NOTHING
    return Raw(text.encode()) if _is_object(text) else Raw(_encode({"arguments": text}))


def _is_object(text: str) -> bool:
    try:
        return isinstance(_decode(text), dict)
    except (msgspec.DecodeError, RecursionError):
        return False
