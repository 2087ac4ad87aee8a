"""Arguments of calls that must follow their schema: checked, and asked for once more."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace

from adapters.emulation import Emulation
from adapters.types import Delta, Event, Message, Tool, ToolCall
from tests.adapters.emulation.folding import (
    CITY,
    HELLO,
    OSLO,
    RAIN,
    STRICT_SUN,
    UNCHECKABLE,
    Played,
    call,
    called,
    chat,
    check,
    finish,
    play,
)

WRONG = '{"town": "Oslo"}'
ASKED = chat(tools=(STRICT_SUN, RAIN))
RIGHT_CALL, WRONG_CALL = call("sun", OSLO), call("sun", WRONG)
IN_JSON: list[Event] = [Delta(text=f'{{"name": "sun", "parameters": {OSLO}}}'), finish()]
WRONG_IN_JSON: list[Event] = [Delta(text=f'{{"name": "sun", "parameters": {WRONG}}}'), finish()]
MADE = call("sun", OSLO, call_id="made-0")


def answer(*calls: ToolCall, text: str = "") -> list[Event]:
    return [*([Delta(text=text)] if text else []), called(*calls), finish("tool_calls")]


def remarks(played: Played) -> dict[str, Any]:
    return dict(played.last.timings)


def test_calls_are_passed_on_when_they_have_been_checked_and_text_at_once() -> None:
    emulation = Emulation(replace(ASKED, stream=True), check=check, call_id=str)
    assert emulation.feed([Delta(thinking="Hm"), Delta(text="See:")]) == [Delta(thinking="Hm"), Delta(text="See:")]
    assert emulation.feed([called(RIGHT_CALL)]) == []
    assert emulation.feed([Delta(text="Done."), called(call("rain", "{}", 1))]) == [Delta(text="Done.")]
    assert emulation.feed([finish("tool_calls")]) == [
        called(RIGHT_CALL, call("rain", "{}", 1)),
        finish("tool_calls"),
    ]


@pytest.mark.parametrize("fields", [{}, {"parallel_tool_calls": False}, {"tool_choice": "required"}])
@pytest.mark.parametrize("stream", [False, True])
def test_right_arguments_need_no_second_try(fields: dict[str, Any], stream: bool) -> None:
    played = play(replace(ASKED, stream=stream, **fields), answer(RIGHT_CALL, text="See:"), check=check)
    assert played.events == [Delta(text="See:"), called(RIGHT_CALL), finish("tool_calls")]


@pytest.mark.parametrize(
    ("tools", "calls"),
    [
        ((STRICT_SUN, RAIN), [call("rain", WRONG)]),
        ((STRICT_SUN, RAIN), [call("moon", WRONG)]),
        ((STRICT_SUN, Tool(name="rain", parameters=CITY)), [call("rain", WRONG)]),
        ((replace(STRICT_SUN, parameters=None),), [WRONG_CALL]),
    ],
)
def test_what_no_strict_schema_speaks_of_is_not_checked(tools: tuple[Tool, ...], calls: list[ToolCall]) -> None:
    played = play(replace(ASKED, tools=tools), answer(*calls), check=check)
    assert played.events == [called(*calls), finish("tool_calls")]


def test_without_a_check_nothing_is_held_back() -> None:
    emulation = Emulation(ASKED, check=None, call_id=str)
    assert emulation.feed([called(WRONG_CALL)]) == [called(WRONG_CALL)]
    assert emulation.feed([finish("tool_calls")]) == [finish("tool_calls")]


def test_what_cannot_be_checked_is_passed_on_with_a_remark() -> None:
    tools = (Tool(name="sun", parameters=UNCHECKABLE, strict=True),)
    played = play(replace(ASKED, tools=tools), answer(WRONG_CALL), check=check)
    assert played.events == [called(WRONG_CALL), finish("tool_calls", schema_unchecked=True)]


@pytest.mark.parametrize("arguments", [b'{"city"', b'{"city": "\xff"}', b'{"city":' + b"[" * 100_000])
def test_arguments_that_are_not_json_are_wrong(arguments: bytes) -> None:
    broken = ToolCall(id="sun-0", name="sun", arguments=Raw(arguments))
    played = play(ASKED, answer(broken), IN_JSON, check=check)
    assert "which does not follow its schema: it is not JSON." in played.asked[1].messages[0].text
    assert played.calls == [MADE]


# --- one wrong call ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_wrong_call_is_asked_for_once_more_in_its_form(stream: bool) -> None:
    request = replace(ASKED, stream=stream)
    played = play(request, answer(WRONG_CALL, text="See:"), IN_JSON, check=check)
    assert played.events == [
        Delta(text="See:"),
        called(MADE),
        finish("tool_calls", prompt=20, completion=10, schema_retried=True),
    ]
    first, second = played.asked
    assert first == request
    assert (second.tools, second.think) == ((), False)
    [system, hello] = second.messages
    assert hello == HELLO
    assert '{"name":"sun",' in system.text
    assert '{"name":"rain",' not in system.text
    assert system.text.endswith(
        f"\n\nYou called sun with {WRONG}, which does not follow its schema: city is missing. Keep what was right."
    )
    assert isinstance(second.format, dict)
    assert second.format["properties"]["name"] == {"const": "sun"}


def test_what_is_said_beside_a_wrong_call_is_passed_on_where_a_form_is_demanded_of_text() -> None:
    request = replace(ASKED, format=CITY, strict_format=True)
    played = play(request, answer(WRONG_CALL, text="See:"), IN_JSON, check=check)
    assert (played.text, played.calls) == ("See:", [MADE])


def test_a_call_wrong_twice_is_handed_over_with_a_remark() -> None:
    played = play(ASKED, answer(WRONG_CALL), WRONG_IN_JSON, check=check)
    assert played.calls == [call("sun", WRONG, call_id="made-0")]
    assert played.last.reason == "tool_calls"
    assert remarks(played) == {"schema_retried": True, "schema_mismatch": "city is missing"}


@pytest.mark.parametrize(("text", "end", "reason"), [("{", "length", "length"), ("No.", "stop", "tool_calls")])
def test_where_the_second_try_is_no_call_the_first_one_is_handed_over(text: str, end: str, reason: str) -> None:
    played = play(ASKED, answer(WRONG_CALL), [Delta(text=text), finish(end)], check=check)
    assert (played.calls, played.last.reason) == ([WRONG_CALL], reason)
    assert remarks(played) == {"schema_retried": True, "schema_mismatch": "city is missing"}


# --- wrong calls among several ----------------------------------------------------------------------------------------

TWO_CALLS = (call("rain", "{}", 0), call("sun", WRONG, 1))
TWO_RIGHT_CALLS = (call("rain", "{}", 0), call("sun", OSLO, 1))


@pytest.mark.parametrize("stream", [False, True])
def test_several_calls_are_asked_for_once_more_with_what_is_wrong_with_each(stream: bool) -> None:
    request = replace(ASKED, stream=stream, think=True)
    played = play(request, answer(*TWO_CALLS, text="See:"), answer(*TWO_RIGHT_CALLS, text="Again:"), check=check)
    assert played.events == [
        Delta(text="See:"),
        called(*TWO_RIGHT_CALLS),
        finish("tool_calls", prompt=20, completion=10, schema_retried=True),
    ]
    assert played.asked[1] == replace(
        request,
        messages=(
            HELLO,
            Message(role="assistant", tool_calls=TWO_CALLS),
            Message(
                role="tool",
                text="Nothing was done, because another call was wrong. Call the function again, with the same arguments.",
                tool_call_id="rain-0",
                tool_name="rain",
            ),
            Message(
                role="tool",
                text="Error: the arguments do not follow the schema: city is missing. Nothing was done. "
                "Call the function again.",
                tool_call_id="sun-1",
                tool_name="sun",
            ),
        ),
    )


def test_several_calls_wrong_twice_are_handed_over_with_a_remark() -> None:
    again = (call("sun", WRONG, 0, "other"),)
    played = play(ASKED, answer(*TWO_CALLS), answer(*again), check=check)
    assert played.calls == list(again)
    assert remarks(played) == {"schema_retried": True, "schema_mismatch": "city is missing"}


@pytest.mark.parametrize("choice", ["auto", "required"])
@pytest.mark.parametrize(("end", "reason"), [("stop", "tool_calls"), ("length", "length")])
def test_where_the_model_only_talks_the_wrong_calls_are_handed_over(choice: str, end: str, reason: str) -> None:
    request = replace(ASKED, tool_choice=choice)
    talk: list[Event] = [Delta(thinking="Hm"), Delta(text="Sorry."), finish(end)]
    played = play(request, answer(*TWO_CALLS, text="See:"), talk, check=check)
    assert (played.text, played.calls, played.last.reason) == ("See:", list(TWO_CALLS), reason)
    assert remarks(played) == {"schema_retried": True, "schema_mismatch": "city is missing"}


# --- a call that must come and be right -------------------------------------------------------------------------------

TALK: list[Event] = [Delta(text="It will."), finish()]


@pytest.mark.parametrize(("choice", "reason"), [("required", "tool_calls"), ("named", "stop")])
def test_a_demanded_call_that_is_right_when_it_comes(choice: str, reason: str) -> None:
    request = chat(tools=(STRICT_SUN,), tool_choice=choice)
    played = play(request, TALK, IN_JSON, check=check)
    assert played.events == [called(MADE), finish(reason, prompt=20, completion=10, tool_call_emulated=True)]


def test_a_demanded_call_that_is_wrong_is_asked_for_once_more() -> None:
    request = chat(tools=(STRICT_SUN, RAIN), tool_choice="required")
    played = play(request, TALK, WRONG_IN_JSON, IN_JSON, check=check)
    assert played.events == [
        called(MADE),
        finish("tool_calls", prompt=30, completion=15, tool_call_emulated=True, schema_retried=True),
    ]
    assert [message.role for message in played.asked[2].messages] == ["system", "user"]
    assert "city is missing" in played.asked[2].messages[0].text


def test_a_demanded_call_that_is_wrong_twice_is_handed_over_with_a_remark() -> None:
    request = chat(tools=(STRICT_SUN,), tool_choice="named")
    played = play(request, TALK, WRONG_IN_JSON, WRONG_IN_JSON, check=check)
    assert (played.calls, played.last.reason) == ([call("sun", WRONG, call_id="made-0")], "stop")
    assert remarks(played) == {
        "tool_call_emulated": True,
        "schema_retried": True,
        "schema_mismatch": "city is missing",
    }
