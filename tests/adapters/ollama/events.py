"""Events to compare: short to write, and with errors by what they say."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from adapters.errors import GatewayError
from adapters.ollama import chat, generate
from adapters.ollama.answer import AnswerDecoder
from adapters.types import Delta, Event, Failure, ToolCall


def decoder(**arguments: Any) -> chat.StreamDecoder:
    return chat.StreamDecoder(call_id=lambda index: f"made-{index}", **arguments)


def decoded(*pieces: bytes, framed: bool = True, **arguments: Any) -> list[Any]:
    """Return the events of a whole body that comes in pieces, as the answer to a chat."""
    return read(decoder(**arguments), *pieces, framed=framed)


def generated(*pieces: bytes, framed: bool = True, **arguments: Any) -> list[Any]:
    """Return the events of a whole body that comes in pieces, as the answer to a text."""
    return read(generate.StreamDecoder(**arguments), *pieces, framed=framed)


def read(reader: AnswerDecoder[Any], *pieces: bytes, framed: bool = True) -> list[Any]:
    events = [event for piece in pieces for event in reader.feed(piece)]
    return comparable([*events, *reader.close(framed=framed)])


def comparable(events: list[Event]) -> list[Any]:
    """Return events with each failure as what it says, since no exception is equal to another."""
    return [said(event.error) if isinstance(event, Failure) else event for event in events]


def said(error: GatewayError) -> tuple[type[GatewayError], str | None, str, str]:
    return type(error), error.param, error.message, error.detail


def texts(*pieces: str) -> list[Delta]:
    return [Delta(text=piece) for piece in pieces]


def thoughts(*pieces: str) -> list[Delta]:
    return [Delta(thinking=piece) for piece in pieces]


def calls(*made: tuple[int, str, str, str]) -> Delta:
    """Return a delta with calls, each an index, an id, a name and its arguments."""
    return Delta(
        tool_calls=tuple(
            ToolCall(index=index, id=call, name=name, arguments=Raw(arguments.encode()))
            for index, call, name, arguments in made
        )
    )
