"""A native call that fails: what there is already is not lost with it."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.emulation import Emulation
from adapters.errors import (
    ContextLengthExceeded,
    GatewayError,
    HostBroken,
    InvalidRequest,
    OutOfMemory,
    SchemaMismatch,
)
from adapters.types import ChatRequest, Delta, Event, Failure, Finish
from tests.adapters.emulation.folding import CITY, RAIN, STRICT_SUN, SUN, call, called, chat, check, finish, play

TOO_LONG = ContextLengthExceeded("Too long.")
NO_MEMORY = OutOfMemory("No memory.")
WRONG = call("sun", '{"town": "Oslo"}')
FORCED = chat(tools=(SUN,), tool_choice="required")
TALK: list[Event] = [Delta(text="It will."), finish()]


@pytest.mark.parametrize("error", [TOO_LONG, NO_MEMORY, HostBroken("Broken.")])
@pytest.mark.parametrize(
    "request_", [chat(tools=(STRICT_SUN, RAIN)), chat(tools=(STRICT_SUN,), tool_choice="required")]
)
def test_a_wrong_call_is_handed_over_when_it_cannot_be_mended(request_: ChatRequest, error: GatewayError) -> None:
    played = play(request_, [called(WRONG), finish("tool_calls")], [Failure(error)], check=check)

    assert played.calls == [WRONG]
    assert isinstance(played.last, Finish)
    assert played.last.reason == "tool_calls"
    assert played.last.usage.prompt == 10
    assert played.last.timings == {"schema_retried": True, "schema_mismatch": "city is missing"}


def test_several_wrong_calls_are_handed_over_too() -> None:
    second = call("sun", '{"town": "Rome"}', 1)
    played = play(
        chat(tools=(STRICT_SUN,)), [called(WRONG, second), finish("tool_calls")], [Failure(TOO_LONG)], check=check
    )

    assert played.calls == [WRONG, second]


FORM: dict[str, Any] = {"format": CITY, "strict_format": True}


@pytest.mark.parametrize(
    ("error", "expected"),
    [(TOO_LONG, SchemaMismatch), (InvalidRequest("No.", param="messages"), SchemaMismatch), (NO_MEMORY, OutOfMemory)],
)
def test_a_form_that_cannot_be_mended_is_told_unless_the_host_is_at_fault(
    error: GatewayError, expected: type[GatewayError]
) -> None:
    played = play(chat(**FORM), [Delta(text="{}"), finish()], [Failure(error)], check=check)

    kind, message = played.last
    assert kind is expected
    assert ("city is missing" in message) is (expected is SchemaMismatch)


@pytest.mark.parametrize(
    ("error", "param"),
    [
        (InvalidRequest("No such form.", param="response_format"), "tools"),
        (InvalidRequest("Too hot.", param="temperature"), "temperature"),
        (TOO_LONG, None),
        (NO_MEMORY, None),
    ],
)
@pytest.mark.parametrize("legacy", [False, True])
def test_the_failure_of_a_call_that_must_come_names_what_the_caller_sent(
    error: GatewayError, param: str | None, legacy: bool
) -> None:
    request = chat(tools=(SUN,), tool_choice="required", legacy_functions=legacy)
    played = play(request, TALK, [Failure(error)])

    assert played.last == (type(error), error.message)
    [event] = failing(request, error)
    assert isinstance(event, Failure)
    assert event.error.param == ("functions" if legacy and param == "tools" else param)


def failing(request: ChatRequest, error: GatewayError) -> list[Event]:
    """Return what comes of the second call."""
    emulation = Emulation(request, check=None, call_id=str)
    assert emulation.feed(TALK) == []
    return emulation.fail(error)


def test_the_first_call_fails_as_it_does_without_demands() -> None:
    assert play(FORCED, [Failure(TOO_LONG)]).events == [(ContextLengthExceeded, "Too long.")]


@pytest.mark.parametrize("request_", [FORCED, chat(**FORM), chat(**FORM, stream=True)])
def test_a_model_that_writes_without_end_is_stopped(request_: ChatRequest) -> None:
    emulation = Emulation(request_, check=check, call_id=str)
    piece = Delta(text="x" * 1_000_000)

    for _ in range(8):
        assert not any(isinstance(event, Failure) for event in emulation.feed([piece]))
    events = emulation.feed([piece, piece, finish()])
    assert isinstance(events[-1], Failure)
    assert isinstance(events[-1].error, HostBroken)
