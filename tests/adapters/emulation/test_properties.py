"""Whatever is asked and whatever hosts answer, the caller gets one answer with one end."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from adapters.emulation import Emulation
from adapters.errors import HostBroken
from adapters.types import (
    ChatRequest,
    Delta,
    Event,
    Failure,
    Finish,
    Message,
    Schema,
    TokenLogprob,
    Tool,
    ToolCall,
    Usage,
)
from tests.adapters.emulation.folding import comparable

MOST_TRIES = 4
"""One normal try, one forced, and one more for what is wrong; a fourth must never be asked for."""

unhurried = settings(deadline=None)

schemas = st.none() | st.sampled_from([{}, {"type": "object"}, {"$ref": "#"}])
tools = st.lists(
    st.builds(Tool, name=st.sampled_from("fgh"), parameters=schemas, strict=st.booleans()), max_size=3
).map(tuple)
arguments = st.sampled_from([b"{}", b'{"a":1}', b"[]", b"{", b'{"a":"\xff"}'])
calls = st.builds(ToolCall, id=st.sampled_from("xy"), name=st.sampled_from("fghi"), arguments=arguments.map(Raw))
texts = st.text(max_size=3) | st.sampled_from(
    ["{}", '{"name":"f","parameters":{}}', '{"name":"g","parameters":{"a":1}}', '{"name":"i","parameters":{}}', "{"]
)
deltas = st.builds(
    Delta,
    text=texts,
    thinking=st.text(max_size=2),
    tool_calls=st.lists(calls, max_size=2).map(tuple),
    logprobs=st.sampled_from([(), (TokenLogprob("a", -1.0),)]),
)
finishes = st.builds(
    Finish,
    reason=st.sampled_from(["stop", "length", "tool_calls"]),
    usage=st.builds(Usage, prompt=st.integers(0, 9), completion=st.integers(0, 9)),
    timings=st.dictionaries(st.sampled_from("ab"), st.integers(0, 9) | st.text(max_size=2), max_size=2),
)
ends = finishes | st.just(Failure(HostBroken("It broke.")))
answers = st.builds(lambda pieces, end: [*pieces, end], st.lists(deltas, max_size=3), ends)


@st.composite
def requests(draw: st.DrawFn) -> ChatRequest:
    """Any chat, with a choice that goes with its tools as it does where requests are decoded."""
    given = draw(tools)
    choices = ["auto", "none"] + ["required"] * bool(given) + ["named"] * (len(given) == 1)
    form = draw(schemas)
    return ChatRequest(
        model="m",
        messages=(Message(role="user", text="hi"),),
        stream=draw(st.booleans()),
        tools=given,
        tool_choice=draw(st.sampled_from(choices)),
        parallel_tool_calls=draw(st.booleans()),
        format=form,
        strict_format=form is not None and draw(st.booleans()),
    )


def check(schema: Schema, value: object) -> str | None:
    """Say anything, but of the same thing always the same."""
    return ["", "It is wrong.", None][len(repr((schema, value))) % 3]


checks = st.sampled_from([None, check])


def play(request: ChatRequest, script: list[list[Event]], check: Any, *, one_by_one: bool) -> tuple[list[Event], int]:
    """Return what the caller gets, and how many native calls it took."""
    emulation = Emulation(request, check=check, call_id=lambda place: f"made-{place}")
    got: list[Event] = []
    for place, answer in enumerate(script):
        emulation.again = False
        for batch in [[event] for event in answer] if one_by_one else [answer]:
            got += emulation.feed(batch)
        if not emulation.again:
            return got, place + 1
        assert not any(isinstance(event, (Finish, Failure)) for event in got)
    raise AssertionError("too many native calls")


@unhurried
@given(requests(), checks, st.lists(answers, min_size=MOST_TRIES, max_size=MOST_TRIES))
def test_an_answer_has_one_end_and_it_is_the_last_event(
    request: ChatRequest, check: Any, script: list[list[Event]]
) -> None:
    got, tries = play(request, script, check, one_by_one=True)
    together, as_many = play(request, script, check, one_by_one=False)
    assert (comparable(got), tries) == (comparable(together), as_many)
    assert tries < MOST_TRIES
    assert [isinstance(event, (Finish, Failure)) for event in got] == [False] * (len(got) - 1) + [True]


@unhurried
@given(requests(), checks, st.lists(answers, min_size=MOST_TRIES, max_size=MOST_TRIES))
def test_calls_are_numbered_from_0_and_as_the_choice_allows(
    request: ChatRequest, check: Any, script: list[list[Event]]
) -> None:
    got, _ = play(request, script, check, one_by_one=False)
    made = [call for event in got if isinstance(event, Delta) for call in event.tool_calls]
    assert [call.index for call in made] == list(range(len(made)))
    if request.tool_choice == "none":
        assert not made
    if not request.parallel_tool_calls:
        assert len(made) <= 1
    last = got[-1]
    if request.tool_choice in ("required", "named"):
        assert {call.name for call in made} <= {tool.name for tool in request.tools}
        assert made or isinstance(last, Failure) or (isinstance(last, Finish) and last.reason == "length")
    if isinstance(last, Finish) and last.reason != "length":
        assert last.reason == ("tool_calls" if made and request.tool_choice != "named" else "stop")


@unhurried
@given(requests(), checks, st.lists(answers, min_size=MOST_TRIES, max_size=MOST_TRIES))
def test_every_native_call_counts(request: ChatRequest, check: Any, script: list[list[Event]]) -> None:
    got, tries = play(request, script, check, one_by_one=False)
    last = got[-1]
    if isinstance(last, Finish):
        spent = [event.usage for answer in script[:tries] for event in answer if isinstance(event, Finish)]
        assert last.usage.prompt == sum(usage.prompt for usage in spent)
        assert last.usage.completion == sum(usage.completion for usage in spent)


@unhurried
@given(requests(), checks, st.lists(answers, min_size=MOST_TRIES, max_size=MOST_TRIES))
def test_no_thought_is_lost(request: ChatRequest, check: Any, script: list[list[Event]]) -> None:
    got, tries = play(request, script, check, one_by_one=False)
    thought = [event.thinking for answer in script[:tries] for event in answer if isinstance(event, Delta)]
    assert "".join(event.thinking for event in got if isinstance(event, Delta)) == "".join(thought)
