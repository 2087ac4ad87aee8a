"""What a model thinks before it answers, how hard it shall, and what becomes of it in the next turn."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.simulator import Simulator
from tests.conformance.rows import CHAT, shows
from tests.e2e.calling import Caller, calling, said
from tests.e2e.conftest import Ask, Host
from tests.gateway.simulator.tiny import tiny_think
from tests.running import chats

pytestmark = pytest.mark.asyncio(loop_scope="package")

THOUGHT = "The user greets me, so I greet back."
HARD = "First I look at it from one side, then from the other side, and then I decide."


async def test_thinking_stands_beside_the_answer_under_both_names(ask: Ask, host: Host) -> None:
    completion = await ask("think")

    message: Any = completion.choices[0].message
    assert message.content == "Hi! I thought about it."
    assert message.reasoning.strip() == THOUGHT
    assert message.reasoning_content == message.reasoning
    assert completion.usage is not None
    assert completion.usage.completion_tokens_details is not None
    assert 0 < (completion.usage.completion_tokens_details.reasoning_tokens or 0) < completion.usage.completion_tokens
    assert "think" not in host.chats[0]


async def test_thinking_comes_in_deltas_before_the_answer(caller: Caller, host: Host) -> None:
    async with await caller.client.chat.completions.create(
        model=host.model("think"), messages=said("hi"), stream=True
    ) as stream:
        deltas: list[Any] = [chunk.choices[0].delta async for chunk in stream]

    thoughts = [place for place, delta in enumerate(deltas) if getattr(delta, "reasoning", None)]
    words = [place for place, delta in enumerate(deltas) if delta.content]
    assert len(thoughts) > 1
    assert max(thoughts) < min(words)
    assert all(deltas[place].reasoning == deltas[place].reasoning_content for place in thoughts)
    assert "".join(deltas[place].reasoning for place in thoughts).strip() == THOUGHT


QUICK = ("Quick thought.", "Hi, low effort.")
USUAL = (THOUGHT, "Hi! I thought about it.")
LONG = (HARD, "Hi, high effort.")
NONE = (None, None)


def effort(word: str, remark: str = "") -> pytest.MarkDecorator:
    return shows(CHAT, "honoured", f"reasoning_effort: {word}", remark=remark)


@pytest.mark.parametrize(
    ("asked", "sent", "thought", "answer"),
    [
        pytest.param({"reasoning_effort": "none"}, False, *NONE, marks=effort("none")),
        pytest.param({"reasoning_effort": "minimal"}, "low", *QUICK, marks=effort("minimal", "as `low`")),
        pytest.param({"reasoning_effort": "low"}, "low", *QUICK, marks=effort("low")),
        pytest.param({"reasoning_effort": "medium"}, "medium", *USUAL, marks=effort("medium")),
        pytest.param({"reasoning_effort": "high"}, "high", *LONG, marks=effort("high")),
        pytest.param({"reasoning_effort": "xhigh"}, "max", *USUAL, marks=effort("xhigh", "as `max`")),
        pytest.param({"reasoning_effort": "max"}, "max", *USUAL, marks=effort("max")),
        pytest.param(
            {"extra_body": {"reasoning": {"effort": "low"}}},
            "low",
            *QUICK,
            marks=shows(CHAT, "honoured", "reasoning.effort"),
        ),
        pytest.param(
            {"extra_body": {"reasoning": {"enabled": False}}},
            False,
            *NONE,
            marks=shows(CHAT, "honoured", "reasoning.enabled"),
        ),
        pytest.param({"extra_body": {"think": False}}, False, *NONE, marks=shows(CHAT, "honoured", "think")),
        pytest.param({"extra_body": {"think": "high"}}, "high", *LONG, marks=shows(CHAT, "honoured", "think")),
        pytest.param({"extra_body": {"think": True}}, True, *USUAL, marks=shows(CHAT, "honoured", "think")),
        ({"reasoning_effort": "low", "extra_body": {"think": "high"}}, "high", *LONG),
    ],
)
async def test_how_hard_it_thinks(
    ask: Ask, host: Host, asked: Any, sent: Any, thought: str | None, answer: str | None
) -> None:
    completion = await ask("think", **asked)

    message: Any = completion.choices[0].message
    assert host.chats[0]["think"] == sent
    assert (getattr(message, "reasoning", None) or "").strip() == (thought or "")
    if answer is not None:
        assert message.content == answer


@shows(CHAT, "honoured", "reasoning_effort: max", remark="as `high` before Ollama 0.22")
async def test_a_host_that_does_not_know_the_hardest_thinking_is_asked_for_hard_thinking() -> None:
    async with Simulator(models=[tiny_think], version="0.21.0") as host, calling(host) as caller:
        await caller.ask("async", model="tiny-think", messages=said("hi"), reasoning_effort="max")

    assert chats(host)[0]["think"] == "high"


async def test_a_call_of_a_tool_after_thinking(ask: Ask) -> None:
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
    completion = await ask("think", tools=[tool])

    message: Any = completion.choices[0].message
    assert message.reasoning.strip() == "I need the weather tool."
    assert not message.content
    assert [call.function.name for call in message.tool_calls] == ["get_weather"]
    assert completion.choices[0].finish_reason == "tool_calls"


DETAILS = [{"type": "reasoning.text", "text": "H"}, {"type": "reasoning.text", "text": "m."}]


@pytest.mark.parametrize(
    "thoughts",
    [
        pytest.param({"reasoning": "Hm."}, marks=shows(CHAT, "honoured", "messages[].reasoning")),
        pytest.param({"reasoning_content": "Hm."}, marks=shows(CHAT, "honoured", "messages[].reasoning_content")),
        pytest.param({"thinking": "Hm."}, marks=shows(CHAT, "honoured", "messages[].thinking")),
        pytest.param(
            {"reasoning_details": DETAILS}, marks=shows(CHAT, "honoured", "messages[].reasoning_details[].text")
        ),
    ],
    ids=list,
)
async def test_thoughts_come_back_by_the_name_of_any_server(ask: Ask, host: Host, thoughts: dict[str, Any]) -> None:
    await ask("think", [*said("hi"), {"role": "assistant", "content": "Hello.", **thoughts}, *said("and?")])

    assert host.chats[0]["messages"][1] == {"role": "assistant", "content": "Hello.", "thinking": "Hm."}


async def test_thinking_goes_back_with_the_answer_it_belongs_to(ask: Ask, host: Host) -> None:
    first = await ask("think")
    await ask("think", [*said("hi"), first.choices[0].message.to_dict(exclude_unset=False), *said("and?")])

    user, assistant, again = host.chats[-1]["messages"]
    assert (user["content"], assistant["content"], again["content"]) == ("hi", "Hi! I thought about it.", "and?")
    assert assistant["thinking"].strip() == THOUGHT


@shows(CHAT, "accepted without effect", "reasoning_effort", remark="with a model that cannot think")
async def test_a_model_that_cannot_think_answers_without(ask: Ask, host: Host, caller: Caller) -> None:
    completion = await ask("chat", reasoning_effort="high")

    assert completion.choices[0].message.content
    assert not hasattr(completion.choices[0].message, "reasoning")
    assert caller.answers[0].headers["x-gateway-ignored"] == "reasoning_effort"
    assert "think" not in host.chats[0]
