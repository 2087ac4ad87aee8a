"""What steers an answer and ends it, in OpenAI's words, and log probabilities."""

from __future__ import annotations

import math
from typing import Any

import pytest
from openai.types.chat import ChatCompletionTokenLogprob

from tests.conformance.rows import CHAT, shows
from tests.e2e.calling import Caller
from tests.e2e.conftest import Ask, Host

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_what_was_not_said_is_not_sent(ask: Ask, host: Host, way: str) -> None:
    await ask("chat")

    assert host.chats == [
        {
            "model": host.chats[0]["model"],
            "messages": [{"role": "user", "content": "hi"}],
            "stream": "streamed" in way,
            "truncate": False,
        }
    ]


OPTIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"temperature": 0, "top_p": 1}, {"temperature": 0, "top_p": 1}),
    ({"temperature": 0.7}, {"temperature": 0.7}),
    ({"top_p": 0.25}, {"top_p": 0.25}),
    ({"frequency_penalty": -2, "presence_penalty": 1.5}, {"frequency_penalty": -2, "presence_penalty": 1.5}),
    ({"seed": 42}, {"seed": 42}),
    ({"max_tokens": 100}, {"num_predict": 100}),
    ({"max_completion_tokens": 50}, {"num_predict": 50}),
]


@pytest.mark.parametrize(
    ("asked", "options"),
    [pytest.param(asked, options, marks=shows(CHAT, "honoured", *asked)) for asked, options in OPTIONS],
)
async def test_what_was_said_is_sent_as_it_was_said(ask: Ask, host: Host, asked: Any, options: Any) -> None:
    await ask("chat", **asked)

    assert host.chats[0]["options"] == options


async def test_the_newer_name_of_the_limit_counts(ask: Ask, host: Host) -> None:
    await ask("chat", max_completion_tokens=50, max_tokens=100)

    assert host.chats[0]["options"] == {"num_predict": 50}


async def test_null_says_nothing(ask: Ask, host: Host) -> None:
    completion = await ask("chat", n=1, temperature=None, stop=None, max_tokens=None)

    assert "options" not in host.chats[0]
    assert len(completion.choices) == 1


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
async def test_an_answer_that_reached_its_limit(ask: Ask, field: str) -> None:
    completion = await ask("chat", "long", **{field: 4})

    assert completion.choices[0].finish_reason == "length"
    assert completion.choices[0].message.content == "Counting: 1 2 3 4"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 4


async def test_an_endless_repetition_ends(ask: Ask, caller: Caller, host: Host) -> None:
    """Ollama gives up without a word of how it went; llama-server does not notice (wire.md 1.5)."""
    completion = await ask("chat", "repeat", max_tokens=100)

    assert (completion.choices[0].message.content or "").startswith(" ha" * 30)
    assert completion.choices[0].finish_reason == ("length" if host.native else "stop")
    assert completion.usage is not None
    assert 0 < completion.usage.completion_tokens <= 100
    assert caller.answers[0].data[-1].get("ollama", {}).get("usage_estimated") is (None if host.native else True)


@pytest.mark.parametrize(
    "stop",
    [
        pytest.param(" 7", marks=shows(CHAT, "honoured", "stop")),
        pytest.param([" 7", "never"], marks=shows(CHAT, "honoured", "stop[]")),
        ["never", " 7"],
    ],
)
async def test_a_stop_text_ends_an_answer_and_is_not_part_of_it(ask: Ask, stop: Any) -> None:
    completion = await ask("chat", "long", stop=stop)

    assert completion.choices[0].finish_reason == "stop"
    assert completion.choices[0].message.content == "Counting: 1 2 3 4 5 6"


async def test_a_stop_text_does_not_replace_those_of_the_model(ask: Ask, host: Host) -> None:
    await ask("chat", stop=["END"])

    own = [] if host.native else ["<|im_start|>", "<|im_end|>"]
    assert host.chats[0]["options"] == {"stop": ["END", *own]}


async def test_the_same_seed_makes_the_same_answer(ask: Ask) -> None:
    answers = [(await ask("chat", "dice", seed=seed)).choices[0].message.content for seed in (1, 1, 2, 3, 4, 5)]

    assert answers[0] == answers[1]
    assert len(set(answers)) > 1


async def logprobs(ask: Ask, **asked: Any) -> list[ChatCompletionTokenLogprob]:
    completion = await ask("chat", "dice", temperature=0, logprobs=True, **asked)
    found = completion.choices[0].logprobs
    assert found is not None
    assert not found.refusal
    assert found.content is not None
    assert "".join(entry.token for entry in found.content) == completion.choices[0].message.content == "Red fox runs"
    return found.content


@shows(CHAT, "honoured", "logprobs")
async def test_log_probabilities(ask: Ask) -> None:
    for entry in await logprobs(ask):
        assert math.isfinite(entry.logprob)
        assert entry.bytes == list(entry.token.encode())
        assert entry.top_logprobs == []


@shows(CHAT, "honoured", "top_logprobs")
async def test_log_probabilities_of_what_could_have_been(ask: Ask) -> None:
    first, *others = await logprobs(ask, top_logprobs=3)

    assert [top.token for top in first.top_logprobs] == ["Red", "Blue", "Green"]
    assert first.top_logprobs[0].logprob == first.logprob
    for entry in (first, *others):
        assert sorted((top.logprob for top in entry.top_logprobs), reverse=True) == [
            top.logprob for top in entry.top_logprobs
        ]
        assert all(top.bytes == list(top.token.encode()) for top in entry.top_logprobs)


async def test_log_probabilities_of_no_alternatives(ask: Ask) -> None:
    assert [entry.top_logprobs for entry in await logprobs(ask, top_logprobs=0)] == [[], [], []]
