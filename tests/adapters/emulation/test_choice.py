"""Whether a model may, must not or must call, as far as its first answer obeys."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.emulation import Emulation, is_needed
from adapters.errors import HostBroken
from adapters.types import Delta, Event, Failure, Finish, TokenLogprob, Usage
from tests.adapters.emulation.folding import (
    CITY,
    RAIN,
    STRICT_SUN,
    SUN,
    call,
    called,
    chat,
    finish,
    play,
    said,
)

BROKEN = HostBroken("It broke.")
LOGPROB = (TokenLogprob("Hi", -0.5),)
MUST = [{"tools": (SUN, RAIN), "tool_choice": "required"}, {"tools": (SUN,), "tool_choice": "named"}]


@pytest.mark.parametrize(
    ("fields", "needed"),
    [
        ({}, False),
        ({"tools": (SUN,)}, False),
        ({"format": CITY}, False),
        ({"parallel_tool_calls": False}, False),
        ({"tools": (SUN,), "parallel_tool_calls": False}, True),
        ({"tool_choice": "none"}, True),
        ({"tools": (SUN,), "tool_choice": "required"}, True),
        ({"tools": (SUN,), "tool_choice": "named"}, True),
        ({"tools": (RAIN, STRICT_SUN)}, True),
        ({"format": CITY, "strict_format": True}, True),
        ({"tools": (SUN,), "tool_choice": "required", "render_only": True}, False),
    ],
)
def test_where_an_answer_cannot_be_passed_on_as_it_comes(fields: dict[str, Any], needed: bool) -> None:
    assert is_needed(chat(**fields)) is needed


@pytest.mark.parametrize("stream", [False, True])
def test_the_first_native_call_is_the_request_itself(stream: bool) -> None:
    request = chat(tools=(SUN, RAIN), tool_choice="required", stream=stream, think=True)
    assert play(request, [called(call()), finish("tool_calls")]).asked == [request]


@pytest.mark.parametrize("fields", [{"tools": (SUN,), "parallel_tool_calls": False}, {"tool_choice": "none"}])
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([finish()], [finish()]),
        ([Delta(text="Hi"), Delta(text="!"), finish("length")], [Delta(text="Hi"), Delta(text="!"), finish("length")]),
        ([Delta(text="Hi", logprobs=LOGPROB), finish()], [Delta(text="Hi", logprobs=LOGPROB), finish()]),
        ([Delta(logprobs=LOGPROB), finish()], [Delta(logprobs=LOGPROB), finish()]),
        ([Delta(thinking="Hm", text="Hi"), finish()], [Delta(thinking="Hm"), Delta(text="Hi"), finish()]),
        ([Delta(thinking="Hm", logprobs=LOGPROB), finish()], [Delta(thinking="Hm"), finish()]),
        ([Delta(), finish()], [finish()]),
        ([Delta(text="Hi"), Failure(BROKEN)], [Delta(text="Hi"), said(BROKEN)]),
    ],
)
def test_an_answer_that_obeys_passes_through(fields: dict[str, Any], answer: list[Event], expected: list[Any]) -> None:
    assert play(chat(**fields), answer).events == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([called(call()), finish("tool_calls")], [finish("stop")]),
        (
            [Delta(text="Hi", tool_calls=(call(),)), Delta(text="!"), finish("tool_calls")],
            [Delta(text="Hi"), Delta(text="!"), finish("stop")],
        ),
        ([Delta(thinking="Hm"), called(call()), finish("length")], [Delta(thinking="Hm"), finish("length")]),
    ],
)
def test_none_drops_every_call(answer: list[Event], expected: list[Event]) -> None:
    assert play(chat(tool_choice="none"), answer).events == expected


@pytest.mark.parametrize(
    "answer",
    [
        [called(call("rain", index=0), call("sun", index=1)), finish("tool_calls")],
        [called(call("rain", index=0)), called(call("sun", index=1), call("sun", index=2)), finish("tool_calls")],
    ],
)
def test_of_calls_that_must_not_come_together_the_first_one_stays(answer: list[Event]) -> None:
    played = play(chat(tools=(SUN, RAIN), parallel_tool_calls=False), answer)
    assert played.events == [called(call("rain")), finish("tool_calls")]


def test_calls_that_may_come_together_all_stay() -> None:
    played = play(
        chat(tools=(SUN, RAIN), tool_choice="required"),
        [called(call("rain", index=0)), called(call("sun", index=1)), finish("tool_calls")],
    )
    assert played.events == [called(call("rain", index=0)), called(call("sun", index=1)), finish("tool_calls")]


@pytest.mark.parametrize("fields", MUST)
def test_thoughts_are_passed_on_at_once_and_text_when_the_call_has_come(fields: dict[str, Any]) -> None:
    emulation = Emulation(chat(**fields, stream=True), check=None, call_id=str)
    assert emulation.feed([Delta(thinking="Hm")]) == [Delta(thinking="Hm")]
    assert emulation.feed([Delta(text="Let me "), Delta(text="see.", logprobs=LOGPROB)]) == []
    assert emulation.feed([Delta(thinking="So", text="Well,")]) == [Delta(thinking="So")]
    assert emulation.feed([Delta(text=" now.", tool_calls=(call(),))]) == [
        Delta(text="Let me "),
        Delta(text="see.", logprobs=LOGPROB),
        Delta(text="Well,"),
        Delta(text=" now."),
        called(call()),
    ]
    assert emulation.feed([Delta(text="Done.")]) == [Delta(text="Done.")]


@pytest.mark.parametrize(("choice", "reason"), [("required", "tool_calls"), ("named", "stop")])
def test_how_an_answer_with_a_demanded_call_ends(choice: str, reason: str) -> None:
    request = chat(tools=(SUN,), tool_choice=choice)
    assert play(request, [called(call()), finish("tool_calls")]).last == finish(reason)
    assert play(request, [called(call()), finish("length")]).last == finish("length")


def test_calls_of_tools_that_are_not_there_do_not_count() -> None:
    played = play(
        chat(tools=(SUN, RAIN), tool_choice="required"),
        [called(call("moon", index=0), call("rain", index=1)), called(call("sun", index=2)), finish("tool_calls")],
    )
    assert played.calls == [call("rain", index=0, call_id="rain-1"), call("sun", index=1, call_id="sun-2")]


def test_where_only_one_call_may_come_one_of_a_tool_that_is_not_there_does_not_stand_for_it() -> None:
    played = play(
        chat(tools=(SUN,), tool_choice="required", parallel_tool_calls=False),
        [called(call("moon", index=0), call("sun", index=1), call("sun", index=2)), finish("tool_calls")],
    )
    assert played.calls == [call("sun", index=0, call_id="sun-1")]


def test_what_an_answer_took_is_what_its_host_says() -> None:
    usage = Usage(prompt=7, completion=3, cached=2, thinking=1, estimated=True)
    end = Finish(reason="tool_calls", usage=usage, timings={"total_duration": 9, "done_reason": "stop"})
    assert play(chat(tools=(SUN,), tool_choice="required"), [called(call()), end]).last == end
