"""What is refused: the SDK's exceptions say what and why, and the SDK does not send it again."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from gateway.config import KeySettings
from gateway.simulator import Simulator
from tests.conformance.rows import CHAT, shows
from tests.e2e.calling import WAYS, Caller, calling, said
from tests.e2e.conftest import Ask, Fleet, Host
from tests.gateway.simulator.tiny import tiny_embed
from tests.running import chats

FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {}}}
TOOLS = [{"type": "function", "function": FUNCTION}]

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"messages": []}, "messages", "empty_array"),
    ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role", "invalid_value"),
    ({"messages": [{"content": "hi"}]}, "messages[0].role", "missing_required_parameter"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type"),
    (
        {"messages": [{"role": "user", "content": [{"type": "video"}]}]},
        "messages[0].content[0].type",
        "invalid_value",
    ),
    ({"model": ""}, "model", "empty_string"),
    ({"temperature": 2.5}, "temperature", "decimal_above_max_value"),
    ({"temperature": "hot"}, "temperature", "invalid_type"),
    ({"top_p": -0.1}, "top_p", "decimal_below_min_value"),
    ({"frequency_penalty": 3}, "frequency_penalty", "decimal_above_max_value"),
    ({"presence_penalty": -3}, "presence_penalty", "decimal_below_min_value"),
    ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
    ({"max_completion_tokens": -1}, "max_completion_tokens", "integer_below_min_value"),
    ({"seed": 1.5}, "seed", "invalid_type"),
    ({"n": 0}, "n", "integer_below_min_value"),
    ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "array_above_max_length"),
    ({"stop": 5}, "stop", "invalid_type"),
    ({"top_logprobs": 3}, "top_logprobs", "invalid_value"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "integer_above_max_value"),
    ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
        "response_format.json_schema.schema",
        "missing_required_parameter",
    ),
    ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
    ({"tool_choice": "required"}, "tool_choice", "invalid_value"),
    (
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "g"}}},
        "tool_choice.function.name",
        "invalid_value",
    ),
    ({"functions": [FUNCTION], "tools": TOOLS}, "functions", "invalid_value"),
    ({"functions": [FUNCTION], "function_call": {"name": "g"}}, "function_call.name", "invalid_value"),
    ({"reasoning_effort": "immense"}, "reasoning_effort", "invalid_value"),
    ({"metadata": {"a": 1}}, "metadata.a", "invalid_type"),
    ({"stream_options": "yes", "stream": True}, "stream_options", "invalid_type"),
    ({"extra_body": {"options": "many"}}, "options", "invalid_type"),
    ({"extra_body": {"options": {"num_ctx": "big"}}}, "options.num_ctx", "invalid_type"),
    ({"extra_body": {"num_gpu": True}}, "num_gpu", "invalid_type"),
    ({"extra_body": {"ollama": {"options": {"top_k": 1.5}}}}, "ollama.options.top_k", "invalid_type"),
    ({"extra_body": {"keep_alive": "10"}}, "keep_alive", "invalid_value"),
    ({"extra_body": {"think": "very"}}, "think", "invalid_value"),
    ({"extra_body": {"format": "xml"}}, "format", "invalid_value"),
    ({"extra_body": {"truncate": "yes"}}, "truncate", "invalid_type"),
]

CUSTOM = {"type": "custom", "custom": {"name": "f"}}
CALLED = [{"role": "assistant", "tool_calls": [{**CUSTOM, "id": "call_1", "custom": {"name": "f", "input": "x"}}]}]

NOT_HERE: list[tuple[str, dict[str, Any], str, str]] = [
    ("logit_bias", {"logit_bias": {"50256": -100}}, "logit_bias", "unsupported_parameter"),
    ("tools[].custom", {"tools": [CUSTOM]}, "tools[0].type", "unsupported_value"),
    ("tool_choice.custom", {"tools": TOOLS, "tool_choice": CUSTOM}, "tool_choice.type", "invalid_value"),
    (
        "messages[].tool_calls[].custom",
        {"messages": [*said("hi"), *CALLED]},
        "messages[1].tool_calls[0].type",
        "unsupported_value",
    ),
    ("modalities[]: audio", {"modalities": ["text", "audio"]}, "modalities[1]", "unsupported_value"),
    ("audio", {"audio": {"voice": "alloy", "format": "wav"}}, "audio", "unsupported_parameter"),
    ("web_search_options", {"web_search_options": {}}, "web_search_options", "unsupported_parameter"),
]
"""What OpenAI takes and no model here can do, by the row of the conformance table."""


@pytest.mark.asyncio(loop_scope="package")
@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        *(pytest.param(*case, id=f"{case[1]} {case[2]}") for case in REFUSED),
        *(pytest.param(*case, id=row, marks=shows(CHAT, "refused", row)) for row, *case in NOT_HERE),
        pytest.param(
            {"n": 33},
            "n",
            "integer_above_max_value",
            marks=shows(CHAT, "refused", "n", remark="above `max_choices` of the configuration"),
        ),
    ],
)
async def test_a_request_that_cannot_be_honoured_never_reaches_a_host(
    fleet: Fleet, fields: dict[str, Any], param: str, code: str
) -> None:
    create: Any = fleet.caller.client.chat.completions.create
    with pytest.raises(openai.BadRequestError) as caught:
        await create(**{"model": "chat:0.33", "messages": said("hi"), **fields})

    error = caught.value
    assert (error.status_code, error.type, error.param, error.code) == (400, "invalid_request_error", param, code)
    assert error.request_id == fleet.caller.answers[0].headers["x-request-id"]
    assert error.response.headers["x-should-retry"] == "false"
    assert len(fleet.caller.answers) == 1
    assert chats(fleet.old) == chats(fleet.new) == []


NONSENSE = {"type": "nonsense"}
IN_A_FORM = {"type": "json_schema", "json_schema": {"name": "n", "schema": NONSENSE}}


@pytest.mark.asyncio(loop_scope="package")
@pytest.mark.parametrize("fields", [{"response_format": IN_A_FORM}, {"extra_body": {"format": NONSENSE}}])
async def test_a_mistake_that_ollama_answers_with_500_is_not_repeated(
    ask: Ask, caller: Caller, host: Host, fields: dict[str, Any]
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await ask("chat", **fields)

    assert (caught.value.param, caught.value.code) == ("response_format", "invalid_value")
    assert len(caller.answers) == len(host.chats) == 1


@pytest.mark.asyncio(loop_scope="package")
async def test_a_prompt_that_does_not_fit(ask: Ask, caller: Caller, host: Host) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await ask("chat", "word " * 100, extra_body={"num_ctx": 64})

    assert (caught.value.param, caught.value.code) == ("messages", "context_length_exceeded")
    assert "num_ctx" in caught.value.message
    if host.kind != "0.24":  # which does not tell
        assert "maximum context length is 64 tokens" in caught.value.message
    assert len(caller.answers) == len(host.chats) == 1


@shows(CHAT, "refused", "logprobs", remark="with tools, of a model that leaves its prompt to llama-server")
@pytest.mark.asyncio(loop_scope="package")
async def test_log_probabilities_of_an_answer_with_tools(fleet: Fleet) -> None:
    """llama-server has them only where no tools are on offer."""
    asked: dict[str, Any] = {"messages": said("text"), "tools": TOOLS, "logprobs": True}
    completion = await fleet.caller.ask("async", model="chat:0.33", **asked)
    with pytest.raises(openai.BadRequestError) as caught:
        await fleet.caller.ask("async", model="chat:0.33-jinja", **asked)

    assert completion.choices[0].logprobs is not None
    assert (caught.value.param, caught.value.code) == ("logprobs", "unsupported_parameter")


@pytest.mark.parametrize("version", ["0.24.0", "0.33.0"])
async def test_a_model_that_only_embeds(version: str) -> None:
    async with Simulator(models=[tiny_embed], version=version) as host, calling(host) as caller:
        with pytest.raises(openai.BadRequestError) as caught:
            await caller.ask("async", model="tiny-embed", messages=said("hi"))

    assert (caught.value.param, caught.value.code) == ("model", "unsupported_value")


@pytest.mark.asyncio(loop_scope="package")
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("get", "/chat/completions", 405, "method_not_allowed"),
        ("post", "/models", 405, "method_not_allowed"),
        ("post", "/chat/completion", 404, "unknown_url"),
        ("get", "/", 404, "unknown_url"),
    ],
)
async def test_an_address_at_which_nothing_is_served(
    caller: Caller, method: str, path: str, status: int, code: str
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        await getattr(caller.client, method)(path, cast_to=object)

    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert caught.value.type == "invalid_request_error"
    assert len(caller.answers) == 1


KEYS = (KeySettings(name="alice", secret="sk-alice-0123456789"),)


@pytest.mark.parametrize("key", ["sk-mallory-0123456789", "none"])
async def test_a_wrong_key_opens_nothing(key: str) -> None:
    async with Simulator() as host, calling(host, keys=KEYS, api_key=key) as caller:
        with pytest.raises(openai.AuthenticationError) as caught:
            await caller.client.models.list()
        with pytest.raises(openai.AuthenticationError):
            await caller.ask("async, streamed", model="demo", messages=said("hi"))

        assert chats(host) == []
        assert len(caller.answers) == 2
    assert (caught.value.code, caught.value.type) == ("invalid_api_key", "invalid_request_error")
    assert caught.value.response.headers["www-authenticate"] == "Bearer"
    assert key not in caught.value.message


async def test_the_right_key_opens_everything_and_stays_in_the_gateway() -> None:
    async with Simulator() as host, calling(host, keys=KEYS, api_key="sk-alice-0123456789") as caller:
        assert [model.id async for model in caller.client.models.list()] == ["demo:latest"]
        await caller.ask("async", model="demo", messages=said("hi"))

        assert not any("alice" in f"{request.headers}{request.body!r}" for request in host.requests)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("settings", "status", "code"),
    [({"max_body": 1_000_000}, 413, "request_too_large"), ({"keys": KEYS}, 401, "invalid_api_key")],
    ids=["too large", "without a key"],
)
async def test_a_refusal_before_the_whole_request_was_read_arrives(
    way: str, settings: dict[str, Any], status: int, code: str
) -> None:
    """Were the connection closed instead, the SDK would take it for a failure of the network and send all of it again."""
    async with Simulator() as host, calling(host, **settings) as caller:
        with pytest.raises(openai.APIStatusError) as caught:
            await caller.ask(way, model="demo", messages=said("x" * 8_000_000))

        assert len(caller.answers) == 1
    assert (caught.value.status_code, caught.value.code) == (status, code)
