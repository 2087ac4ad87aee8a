"""A call that must come and has not: the model is asked a second time, in a form that leaves nothing else to say."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from adapters.emulation import Emulation
from adapters.errors import HostBroken, HostTimeout
from adapters.types import Alternative, Delta, Event, Failure, Finish, Message, TokenLogprob, Tool, Usage
from tests.adapters.emulation.folding import (
    CITY,
    HELLO,
    OSLO,
    RAIN,
    SUN,
    call,
    called,
    chat,
    finish,
    play,
    said,
)

REQUIRED = chat(tools=(SUN, RAIN), tool_choice="required")
NAMED = chat(tools=(SUN,), tool_choice="named")
TALK: list[Event] = [Delta(thinking="Hm"), Delta(text="It will."), finish(prompt=10, completion=5)]
MADE = call("sun", OSLO, call_id="made-0")
NOT_CALLED = (HostBroken, "The model did not call a tool, which it must. Try again.")

ONE_TOOL = (
    "Call this function now, with arguments that follow from the conversation. Answer with nothing but the call, in "
    'JSON: {"name": the name of the function, "parameters": an object with its arguments}.\n\n'
    '{"name":"sun","description":"When the sun shines.",'
    '"parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}'
)
TWO_TOOLS = (
    ONE_TOOL.replace("this function", "one of these functions")
    + '\n{"name":"rain","description":"","parameters":{"type":"object","properties":{}}}'
)
CALL_OF_SUN = {
    "type": "object",
    "properties": {"name": {"const": "sun"}, "parameters": {"$ref": "#/$defs/0"}},
    "required": ["name", "parameters"],
    "additionalProperties": False,
}
CALL_OF_RAIN = {**CALL_OF_SUN, "properties": {"name": {"const": "rain"}, "parameters": {"$ref": "#/$defs/1"}}}
NO_ARGUMENTS = {"type": "object", "properties": {}}


def in_json(name: str = "sun", parameters: str = OSLO) -> str:
    return f'{{"name": "{name}", "parameters": {parameters}}}'


@pytest.mark.parametrize(
    ("asked", "text", "form"),
    [
        (NAMED, ONE_TOOL, {**CALL_OF_SUN, "$defs": {"0": CITY}}),
        (REQUIRED, TWO_TOOLS, {"anyOf": [CALL_OF_SUN, CALL_OF_RAIN], "$defs": {"0": CITY, "1": NO_ARGUMENTS}}),
    ],
)
def test_what_is_asked_the_second_time(asked: Any, text: str, form: dict[str, Any]) -> None:
    first, second = play(asked, TALK, [Delta(text=in_json()), finish()]).asked
    assert first == asked
    assert second == replace(
        asked, messages=(Message(role="system", text=text), HELLO), tools=(), format=form, think=False
    )


def test_what_else_was_asked_stays_and_what_goes_with_text_does_not() -> None:
    request = replace(
        REQUIRED,
        stream=True,
        options={"temperature": 0, "num_ctx": 8192},
        stop=("END",),
        keep_alive="5m",
        format=CITY,
        think="high",
        think_param="reasoning_effort",
        logprobs=True,
        top_logprobs=3,
    )
    _, second = play(request, TALK, [Delta(text=in_json()), finish()]).asked
    assert second.format is not CITY
    assert second == replace(
        request,
        messages=second.messages,
        tools=(),
        format=second.format,
        stop=(),
        think=False,
        think_param="",
        logprobs=False,
        top_logprobs=None,
    )


def test_the_tools_are_told_in_the_system_text_that_is_there() -> None:
    system = Message(role="system", text="Be brief.")
    request = replace(NAMED, messages=(system, HELLO, system, HELLO))
    _, second = play(request, TALK, [Delta(text=in_json()), finish()]).asked
    assert second.messages == (Message(role="system", text=f"Be brief.\n\n{ONE_TOOL}"), HELLO, system, HELLO)


@pytest.mark.parametrize(
    ("asked", "name", "reason"),
    [(REQUIRED, "sun", "tool_calls"), (REQUIRED, "rain", "tool_calls"), (NAMED, "sun", "stop")],
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_answer_becomes_a_call(asked: Any, name: str, reason: str, stream: bool) -> None:
    text = in_json(name)
    answer: list[Event] = [Delta(text=text[:9]), Delta(text=text[9:]), finish(prompt=40, completion=8)]
    assert play(replace(asked, stream=stream), TALK, answer).events == [
        Delta(thinking="Hm"),
        called(call(name, OSLO, call_id="made-0")),
        finish(reason, prompt=50, completion=13, tool_call_emulated=True),
    ]


@pytest.mark.parametrize(
    "parameters", ["{}", '{"b": 1.50, "a": [1e2, "é\\n"]}', '{"n": 123456789012345678901234567890}']
)
def test_arguments_keep_the_spelling_that_the_model_gave_them(parameters: str) -> None:
    played = play(REQUIRED, TALK, [Delta(text=in_json(parameters=parameters)), finish()])
    assert [bytes(made.arguments).decode() for made in played.calls] == [parameters]


def test_both_answers_count() -> None:
    first = Finish(
        reason="stop",
        usage=Usage(prompt=10, completion=5, thinking=2, cached=4),
        timings={"total_duration": 7, "load_duration": 3, "done_reason": "stop"},
    )
    second = Finish(
        reason="stop",
        usage=Usage(prompt=40, completion=8, thinking=1, estimated=True),
        timings={"total_duration": 9, "eval_duration": 1, "done_reason": "load"},
    )
    played = play(REQUIRED, [Delta(text="It will."), first], [Delta(text=in_json()), second])
    assert played.last == Finish(
        reason="tool_calls",
        usage=Usage(prompt=50, completion=13, thinking=3, cached=4, estimated=True),
        timings={
            "total_duration": 16,
            "load_duration": 3,
            "eval_duration": 1,
            "done_reason": "load",
            "tool_call_emulated": True,
        },
    )
    assert first.timings["total_duration"] == 7


def test_a_host_that_says_the_same_in_two_ways() -> None:
    first, second = finish(note="a", more=1), finish(note=1, more="b")
    played = play(REQUIRED, [Delta(text="It will."), first], [Delta(text=in_json()), second])
    assert played.last.timings == {"note": 1, "more": "b", "tool_call_emulated": True}


def test_nothing_of_the_first_answer_but_its_thoughts_reaches_the_caller() -> None:
    emulation = Emulation(REQUIRED, check=None, call_id=lambda place: f"made-{place}")
    assert emulation.feed([Delta(thinking="Hm"), Delta(text="It "), Delta(text="will.")]) == [Delta(thinking="Hm")]
    assert emulation.feed([finish()]) == []
    assert emulation.again
    emulation.again = False
    assert emulation.feed([Delta(thinking="So."), Delta(text=in_json()[:20])]) == [Delta(thinking="So.")]
    likely = TokenLogprob("}", -0.1, None, [Alternative("}", -0.1)])
    assert emulation.feed([Delta(text=in_json()[20:], logprobs=(likely,)), finish()])[0] == called(MADE)


def test_an_answer_cut_before_a_call_is_asked_for_again() -> None:
    played = play(REQUIRED, [Delta(text="It w"), finish("length")], [Delta(text=in_json()), finish()])
    assert played.calls == [MADE]
    assert played.last.reason == "tool_calls"


def test_only_calls_of_tools_that_are_there_spare_the_second_try() -> None:
    played = play(REQUIRED, [called(call("moon")), finish("tool_calls")], [Delta(text=in_json()), finish()])
    assert played.calls == [MADE]


def test_a_call_cut_at_the_limit_of_tokens_ends_there() -> None:
    played = play(REQUIRED, TALK, [Delta(text=in_json()[:-3]), finish("length")])
    assert played.events == [
        Delta(thinking="Hm"),
        finish("length", prompt=20, completion=10, tool_call_emulated=True),
    ]


def test_a_call_that_is_whole_at_the_limit_of_tokens_is_a_call() -> None:
    played = play(REQUIRED, TALK, [Delta(text=in_json()), finish("length")])
    assert (played.calls, played.last.reason) == ([MADE], "tool_calls")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I will not.",
        in_json()[:-1],
        in_json("moon"),
        in_json(parameters="[]"),
        in_json(parameters='"city"'),
        in_json(parameters="null"),
        in_json(parameters='{"a": "\\ud800"}'),
        in_json(parameters="[" * 100_000 + "]" * 100_000),
        in_json(parameters='{"a":' * 100_000 + "1" + "}" * 100_000),
        '{"name": "sun"}',
        '{"parameters": {}}',
        '{"name": 1, "parameters": {}}',
        "[" + in_json() + "]",
        "[" * 100_000,
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_nonsense_instead_of_a_call_is_a_failure(text: str, stream: bool) -> None:
    played = play(replace(REQUIRED, stream=stream), TALK, [Delta(text=text), finish()])
    assert played.events == [Delta(thinking="Hm"), NOT_CALLED]


def test_calls_beside_a_forced_one_do_not_count() -> None:
    played = play(REQUIRED, TALK, [Delta(text=in_json(), tool_calls=(call("rain"),)), finish("tool_calls")])
    assert played.calls == [MADE]


@pytest.mark.parametrize("failing", [1, 2])
def test_the_failure_of_a_host_is_that_of_the_answer(failing: int) -> None:
    failure = [Delta(text="It"), Failure(HostTimeout("Too slow."))]
    answers = [failure] if failing == 1 else [TALK[1:], failure]
    assert play(REQUIRED, *answers).events == [said(HostTimeout("Too slow."))]


def test_a_tool_without_description_or_parameters() -> None:
    request = chat(tools=(Tool(name="now"), Tool(name="then", parameters={})), tool_choice="required")
    _, second = play(request, TALK, [Delta(text=in_json("now", "{}")), finish()]).asked
    assert isinstance(second.format, dict)
    assert second.format["$defs"] == {"0": NO_ARGUMENTS, "1": NO_ARGUMENTS}
