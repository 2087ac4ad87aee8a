"""Answers with status 200 that are not what was asked for: context, limits, sampling, roles, content."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.simulator import Simulator
from tests.beside.exchanges import Ours, Theirs, answer_of, beside
from tests.gateway.simulator.tiny import tiny_chat
from tests.running import chats, running

pytestmark = pytest.mark.asyncio(loop_scope="package")

SHORT = "Counting: 1 2 3 4"

# --- the context ------------------------------------------------------------------------------------------------------


@beside("0.33/chat-overflow")
@pytest.mark.parametrize(
    "asked",
    [
        {"options": {"num_ctx": 8192}},
        {"num_ctx": 8192},
        {"ollama": {"options": {"num_ctx": 8192}}},
        {"model": "roomy"},
    ],
    ids=["options", "top level", "ollama", "the configuration"],
)
async def test_the_size_of_the_context_can_be_set(theirs: Theirs, ours: Ours, asked: dict[str, Any]) -> None:
    assert theirs.usage["prompt_tokens"] < len(theirs.asked["messages"][0]["content"])

    answer = await ours.answer(theirs, **asked)
    assert answer.usage["prompt_tokens"] > len(theirs.asked["messages"][0]["content"])
    [sent] = ours.sent()
    assert sent["options"] == {"num_ctx": 8192}


@beside("0.33/chat-overflow")
async def test_a_prompt_that_does_not_fit_is_refused(theirs: Theirs, ours: Ours) -> None:
    """Ollama kept half of the window of 4096 tokens, and said nothing of it."""
    assert (theirs.status, theirs.choice["finish_reason"]) == (200, "stop")
    assert theirs.usage["prompt_tokens"] == 2050
    assert theirs.headers.keys() == {"content-type", "content-length", "date"}

    answer = await ours.answer(theirs)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "context_length_exceeded", "messages")
    assert "4096" in answer.error["message"]


@beside("0.33/chat-overflow")
async def test_a_prompt_is_cut_for_those_who_ask_for_it(theirs: Theirs, ours: Ours) -> None:
    answer = await ours.answer(theirs, truncate=True)

    assert answer.usage["prompt_tokens"] == theirs.usage["prompt_tokens"]


@beside("0.33/chat-jinja-overflow", "0.33/chat-jinja-overflow-stream")
async def test_every_model_refuses_a_long_prompt_alike(theirs: Theirs, ours: Ours) -> None:
    """On the same server Ollama cut it for a model whose template is not Jinja: see `chat-overflow`."""
    assert theirs.status == 400
    assert theirs.error["message"].startswith('{"error":{')
    assert theirs.error["code"] is None

    answer = await ours.answer(theirs)
    rendered = await ours.answer(theirs, model="tiny-chat")
    assert answer.error == rendered.error
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "context_length_exceeded", "messages")


# --- limits and sampling ----------------------------------------------------------------------------------------------


@beside("chat-max-completion-tokens")
async def test_an_answer_ends_at_max_completion_tokens(theirs: Theirs, ours: Ours) -> None:
    assert theirs.asked["max_completion_tokens"] == 4
    assert theirs.usage["completion_tokens"] > 200
    assert theirs.choice["finish_reason"] == "stop"

    answer = await ours.answer(theirs)
    assert answer.usage["completion_tokens"] == 4
    assert (answer.message["content"], answer.choice["finish_reason"]) == (SHORT, "length")


@beside("chat-max-completion-tokens")
async def test_an_answer_ends_at_the_limit_of_the_modelfile(theirs: Theirs, ours: Ours) -> None:
    answer = await ours.answer(theirs, model="capped", max_completion_tokens=None)

    assert (answer.message["content"], answer.choice["finish_reason"]) == (SHORT, "length")
    assert "options" not in ours.sent()[0]


@beside("chat-temperature-zero")
async def test_the_temperature_of_the_modelfile_holds(theirs: Theirs, ours: Ours) -> None:
    """What the recorded model said because the request asked for temperature 0, `cold` says by its Modelfile."""
    answer = await ours.answer(theirs, model="cold", temperature=None)

    assert answer.message["content"] == theirs.message["content"] == "Red fox runs"
    assert "options" not in ours.sent()[0]


@beside("chat-n-two")
async def test_n_answers_come(theirs: Theirs, ours: Ours) -> None:
    assert theirs.asked["n"] == 2
    assert len(theirs.json["choices"]) == 1

    answer = await ours.answer(theirs)
    assert [choice["index"] for choice in answer.json["choices"]] == [0, 1]
    assert answer.usage["prompt_tokens"] == theirs.usage["prompt_tokens"]
    assert answer.usage["completion_tokens"] == 2 * theirs.usage["completion_tokens"]


@beside("chat-many-fields")
async def test_what_cannot_be_done_is_refused(theirs: Theirs, ours: Ours) -> None:
    assert theirs.asked["logit_bias"]
    assert theirs.status == 200

    answer = await ours.answer(theirs)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "unsupported_parameter", "logit_bias")
    assert ours.sent() == []


@beside("chat-many-fields")
@pytest.mark.parametrize(
    "asked",
    [{}, {"typical_p": 1.0}, {"options": {"mirostat": 1}}, {"chat_template_kwargs": {"enable_thinking": False}}],
    ids=["as recorded", "typical_p", "mirostat", "chat_template_kwargs"],
)
async def test_what_has_no_effect_is_named(theirs: Theirs, ours: Ours, asked: dict[str, Any]) -> None:
    assert theirs.status == 200
    assert not any(name.startswith("x-") for name in theirs.headers)

    answer = await ours.answer(theirs, logit_bias=None, **asked)
    assert answer.status == 200
    named = {"options.mirostat"} if "options" in asked else set(asked)
    assert {"store", *named} <= set(answer.headers["x-gateway-ignored"].split(", "))
    assert "options" not in ours.sent()[0]


@beside("chat-seed")
async def test_the_options_of_ollama_are_taken(theirs: Theirs, ours: Ours) -> None:
    """The recorded seed makes another answer than the likeliest, which is the only one that `top_k` 1 leaves."""
    assert theirs.message["content"] != "Red fox runs"

    answer = await ours.answer(theirs, top_k=1, min_p=0.1, repeat_penalty=1.2, keep_alive="10m")
    assert answer.message["content"] == "Red fox runs"
    [sent] = ours.sent()
    assert sent["options"] == {"seed": 1, "temperature": 1, "top_k": 1, "min_p": 0.1, "repeat_penalty": 1.2}
    assert sent["keep_alive"] == "10m"


@beside("0.33/chat-max-tokens")
async def test_an_upgraded_host_breaks_nobody(theirs: Theirs) -> None:
    """From 0.34.1 on hosts refuse `typical_p`, whatever its value."""
    body = {**theirs.asked, "typical_p": 1.0, "options": {"typical_p": 0.7}}
    async with Simulator(version="0.34.1", models=[tiny_chat]) as host, running(host) as gateway:
        answer = answer_of(await gateway.client.post(theirs.path, json=body))

    assert (answer.status, answer.message["content"]) == (200, theirs.message["content"])
    assert answer.headers["x-gateway-ignored"] == "typical_p, options.typical_p"
    assert chats(host)[0]["options"] == {"num_predict": 4}


@beside("chat-logprobs")
async def test_log_probabilities_have_their_whole_form(theirs: Theirs, ours: Ours) -> None:
    assert "refusal" not in theirs.choice["logprobs"]

    answer = await ours.answer(theirs)
    found, recorded = answer.choice["logprobs"], theirs.choice["logprobs"]
    assert found["refusal"] is None
    assert [token["token"] for token in found["content"]] == [token["token"] for token in recorded["content"]]
    assert [token["logprob"] for token in found["content"]] == pytest.approx(
        [token["logprob"] for token in recorded["content"]], abs=1e-6
    )
    bare = await ours.answer(theirs, top_logprobs=None)
    assert [token["top_logprobs"] for token in bare.choice["logprobs"]["content"]] == [[], [], []]


# --- roles and content ------------------------------------------------------------------------------------------------


@beside("chat-role-developer")
async def test_the_model_reads_what_a_developer_says(theirs: Theirs, ours: Ours) -> None:
    """Ollama counted as many tokens as without the message."""
    without = Theirs(f"{theirs.version}/v1/chat-nostream")
    assert theirs.asked["messages"][1:] == without.asked["messages"]
    assert theirs.usage["prompt_tokens"] == without.usage["prompt_tokens"]

    answer = await ours.answer(theirs)
    assert answer.usage["prompt_tokens"] > without.usage["prompt_tokens"]
    assert ours.sent()[0]["messages"][0] == {"role": "system", "content": "x"}


@beside("0.33/chat-jinja-content-parts")
async def test_the_parts_of_a_message_stay_one_message(theirs: Theirs, ours: Ours) -> None:
    """The model read two turns: more tokens than the texts have."""
    assert [part["text"] for part in theirs.asked["messages"][0]["content"]] == ["a", "hi"]
    alone = Theirs(f"{theirs.version}/v1/chat-jinja-nostream")
    assert alone.asked["messages"][0]["content"] == "hi"
    assert theirs.usage["prompt_tokens"] - alone.usage["prompt_tokens"] > len("a\n")

    answer = await ours.answer(theirs)
    assert answer.usage["prompt_tokens"] - alone.usage["prompt_tokens"] == len("a\n")
    assert ours.sent()[0]["messages"] == [{"role": "user", "content": "a\nhi"}]


@beside("chat-content-null")
@pytest.mark.parametrize(
    "message",
    [{"role": "user", "content": None}, {"role": "assistant", "content": None}, {"role": "assistant"}],
    ids=["as recorded", "assistant", "assistant without content"],
)
async def test_a_message_may_be_empty(theirs: Theirs, ours: Ours, message: dict[str, Any]) -> None:
    assert theirs.asked["messages"] == [{"role": "user", "content": None}]
    assert theirs.status == 400
    assert theirs.error["message"] == "invalid message content type: <nil>"

    answer = await ours.answer(theirs, messages=[message, {"role": "user", "content": "hi"}])
    assert answer.status == 200
    assert ours.sent()[0]["messages"][0] == {"role": message["role"], "content": ""}


@beside("chat-content-parts-image")
async def test_an_image_for_a_model_that_does_not_see_is_refused(theirs: Theirs, ours: Ours) -> None:
    """0.24 answered as if there were no image; 0.33 refused in words of another program, as JSON within JSON."""
    if theirs.version == "0.24":
        assert theirs.status == 200
    else:
        assert theirs.error["message"].startswith('{"error":{')

    answer = await ours.answer(theirs)
    assert (answer.status, answer.error["param"]) == (400, "messages[0].content")
    assert "tiny-vision-label" in answer.error["message"]
    assert ours.sent() == []
