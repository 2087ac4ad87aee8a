"""Answers in JSON that must follow their schema: checked, and asked for once more where nothing has been sent yet."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from adapters.emulation import Emulation
from adapters.errors import SchemaMismatch
from adapters.types import Delta, Event, Message, TokenLogprob
from tests.adapters.emulation.folding import (
    CITY,
    HELLO,
    OSLO,
    RAIN,
    STRICT_SUN,
    SUN,
    UNCHECKABLE,
    call,
    called,
    chat,
    check,
    finish,
    play,
)

WHOLE = chat(format=CITY, strict_format=True)
STREAM = replace(WHOLE, stream=True)
WRONG = '{"town": "Oslo"}'


def answer(text: str) -> list[Event]:
    return [Delta(thinking="Hm"), Delta(text=text[:5]), Delta(text=text[5:]), finish()]


def mismatch(problem: str) -> tuple[type[SchemaMismatch], str]:
    return (
        SchemaMismatch,
        f"The model's answer does not follow the schema: {problem}. Simplify the schema, or ask without `strict`.",
    )


@pytest.mark.parametrize("stream", [False, True])
def test_a_right_answer_passes_through(stream: bool) -> None:
    assert play(replace(WHOLE, stream=stream), answer(OSLO), check=check).events == answer(OSLO)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (WRONG, "city is missing"),
        ("7", "city is missing"),
        ("", "it is not JSON"),
        ("Oslo", "it is not JSON"),
        (OSLO[:-1], "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
    ],
)
def test_a_wrong_answer_is_asked_for_once_more(text: str, problem: str) -> None:
    request = replace(WHOLE, think="high", think_param="reasoning_effort", options={"seed": 1})
    played = play(request, answer(text), answer(OSLO)[1:], check=check)
    assert played.events == [
        Delta(thinking="Hm"),
        *answer(OSLO)[1:-1],
        finish(prompt=20, completion=10, schema_retried=True),
    ]
    remark = f"That answer does not follow the JSON schema: {problem}. Answer again, with nothing but JSON that does."
    assert played.asked[1] == replace(
        request,
        messages=(HELLO, Message(role="assistant", text=text), Message(role="user", text=remark)),
        think=False,
        think_param="",
    )


@pytest.mark.parametrize(("text", "problem"), [(WRONG, "city is missing"), ("Oslo", "it is not JSON")])
def test_an_answer_wrong_twice_is_a_failure(text: str, problem: str) -> None:
    played = play(WHOLE, answer(WRONG), answer(text), check=check)
    assert played.events == [Delta(thinking="Hm"), Delta(thinking="Hm"), mismatch(problem)]


@pytest.mark.parametrize(("text", "problem"), [(WRONG, "city is missing"), ("Not JSON", "it is not JSON")])
def test_a_wrong_answer_that_was_streamed_ends_in_a_failure(text: str, problem: str) -> None:
    assert play(STREAM, answer(text), check=check).events == [*answer(text)[:-1], mismatch(problem)]


def test_a_stream_flows_and_a_whole_answer_is_held_until_it_is_checked() -> None:
    likely = (TokenLogprob("{", -0.1),)
    pieces: list[Event] = [Delta(text=OSLO[:5], logprobs=likely), Delta(text=OSLO[5:]), finish()]
    streamed = Emulation(STREAM, check=check, call_id=str)
    assert [streamed.feed([piece]) for piece in pieces] == [[piece] for piece in pieces]
    held = Emulation(WHOLE, check=check, call_id=str)
    assert [held.feed([piece]) for piece in pieces] == [[], [], pieces]


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_cut_at_the_limit_of_tokens_is_not_checked(stream: bool) -> None:
    cut: list[Event] = [Delta(text=OSLO[:5]), finish("length")]
    assert play(replace(WHOLE, stream=stream), cut, check=check).events == cut


def test_a_second_try_that_is_cut_is_not_checked() -> None:
    played = play(WHOLE, answer(WRONG), [Delta(text=OSLO[:5]), finish("length")], check=check)
    assert (played.text, played.last.reason) == (OSLO[:5], "length")


@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_checked_is_passed_on_with_a_remark(stream: bool) -> None:
    request = replace(WHOLE, stream=stream, format=UNCHECKABLE)
    played = play(request, answer(WRONG), check=check)
    assert played.events == [*answer(WRONG)[:-1], finish(schema_unchecked=True)]


def test_what_cannot_be_checked_may_still_not_be_json() -> None:
    played = play(replace(WHOLE, format=UNCHECKABLE), answer("Oslo"), answer(WRONG), check=check)
    assert (played.text, played.last.timings) == (WRONG, {"schema_retried": True, "schema_unchecked": True})


@pytest.mark.parametrize("stream", [False, True])
def test_without_a_check_nothing_is_held_back(stream: bool) -> None:
    emulation = Emulation(replace(WHOLE, stream=stream), check=None, call_id=str)
    assert [emulation.feed([piece]) for piece in answer(WRONG)] == [[piece] for piece in answer(WRONG)]


@pytest.mark.parametrize("format_", [None, "json", CITY])
def test_a_form_that_is_not_strict_is_not_checked(format_: object) -> None:
    request = chat(format=format_, tools=(SUN,), parallel_tool_calls=False)
    assert play(request, answer(WRONG), check=check).events == answer(WRONG)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("tool", [SUN, STRICT_SUN])
def test_an_answer_that_calls_is_not_checked(tool: object, stream: bool) -> None:
    calling: list[Event] = [Delta(text="See:"), called(call()), finish("tool_calls")]
    played = play(replace(WHOLE, stream=stream, tools=(tool, RAIN)), calling, check=check)
    assert (played.text, played.calls, played.last) == ("See:", [call()], finish("tool_calls"))


def test_the_second_try_may_be_a_call() -> None:
    played = play(
        replace(WHOLE, tools=(SUN,)),
        answer(WRONG),
        [Delta(text="See:"), called(call()), finish("tool_calls")],
        check=check,
    )
    assert (played.text, played.calls) == ("See:", [call()])
    assert played.last == finish("tool_calls", prompt=20, completion=10, schema_retried=True)


def test_a_second_try_that_is_a_wrong_call_is_handed_over_with_a_remark() -> None:
    wrong = call("sun", WRONG)
    played = play(
        replace(WHOLE, tools=(STRICT_SUN,)), answer(WRONG), [called(wrong), finish("tool_calls")], check=check
    )
    assert (played.text, played.calls) == ("", [wrong])
    assert played.last.timings == {"schema_retried": True, "schema_mismatch": "city is missing"}


def test_a_demanded_call_goes_before_the_form() -> None:
    request = replace(WHOLE, tools=(SUN,), tool_choice="required")
    played = play(
        request, answer(OSLO), [Delta(text=f'{{"name": "sun", "parameters": {OSLO}}}'), finish()], check=check
    )
    assert played.text == ""
    assert played.calls == [call(call_id="made-0")]
    assert played.last == finish("tool_calls", prompt=20, completion=10, tool_call_emulated=True)
