"""One chat played through: what is asked of hosts, and what the caller gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec import Raw

from adapters.emulation import Check, Emulation
from adapters.errors import GatewayError
from adapters.types import ChatRequest, Delta, Event, Failure, Finish, Message, Schema, Tool, ToolCall, Usage

CITY: Schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
UNCHECKABLE: Schema = {"$ref": "https://example.com/elsewhere"}
SUN = Tool(name="sun", description="When the sun shines.", parameters=CITY)
RAIN = Tool(name="rain")
STRICT_SUN = Tool(name="sun", description="When the sun shines.", parameters=CITY, strict=True)
HELLO = Message(role="user", text="Will the sun shine?")
OSLO = '{"city": "Oslo"}'


def check(schema: Schema, value: object) -> str | None:
    """Check no more than that an object has what it must have; that suffices for a table."""
    if "$ref" in schema:
        return None
    missing = [name for name in schema["required"] if not isinstance(value, dict) or name not in value]
    return f"{missing[0]} is missing" if missing else ""


def chat(*messages: Message, **fields: Any) -> ChatRequest:
    return ChatRequest(model="m", messages=messages or (HELLO,), **fields)


def call(name: str = "sun", arguments: str = OSLO, index: int = 0, call_id: str = "") -> ToolCall:
    return ToolCall(id=call_id or f"{name}-{index}", name=name, arguments=Raw(arguments.encode()), index=index)


def called(*calls: ToolCall) -> Delta:
    return Delta(tool_calls=calls)


def finish(reason: Any = "stop", prompt: int = 10, completion: int = 5, **timings: Any) -> Finish:
    return Finish(reason=reason, usage=Usage(prompt=prompt, completion=completion), timings=timings)


class Played(NamedTuple):
    """What came of a chat.

    Attributes:
        events: What the caller got; failures as what they say, since no exception is equal to another.
        asked: The native calls that were made.
    """

    events: list[Any]
    asked: list[ChatRequest]

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Delta))

    @property
    def calls(self) -> list[ToolCall]:
        return [call for event in self.events if isinstance(event, Delta) for call in event.tool_calls]

    @property
    def last(self) -> Any:
        return self.events[-1]


def play(request: ChatRequest, *answers: Sequence[Event], check: Check | None = None) -> Played:
    """Answer the native calls of a chat one after the other; the events may come one by one or all at once."""
    together = _play(request, answers, check, one_by_one=False)
    assert _play(request, answers, check, one_by_one=True) == together
    return together


def _play(request: ChatRequest, answers: Sequence[Sequence[Event]], check: Check | None, *, one_by_one: bool) -> Played:
    emulation = Emulation(request, check=check, call_id=lambda place: f"made-{place}")
    played = Played([], [])
    for place, answer in enumerate(answers):
        assert emulation.again == bool(place)
        emulation.again = False
        played.asked.append(emulation.request)
        for batch in [[event] for event in answer] if one_by_one else [answer]:
            played.events.extend(comparable(emulation.feed(batch)))
    assert not emulation.again
    return played


def comparable(events: Sequence[Event]) -> list[Any]:
    return [said(event.error) if isinstance(event, Failure) else event for event in events]


def said(error: GatewayError) -> tuple[type[GatewayError], str]:
    return type(error), error.message
