"""What is read from a request, and what is refused in whose words (wire.md 1.1, 1.6, 2)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.simulator.answers import Refusal
from gateway.simulator.golang import FOREVER
from gateway.simulator.options import LoadOptions, load_options, merge_options
from gateway.simulator.requests import read_chat, read_embed, read_embeddings, read_generate, read_show


def chat(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def tools(parameters: Any) -> bytes:
    return chat(tools=[{"type": "function", "function": {"name": "f", "parameters": parameters}}])


def refusal(read: Callable[[bytes], Any], body: bytes) -> str:
    with pytest.raises(Refusal) as refused:
        read(body)
    assert refused.value.status == 400
    return refused.value.text


IN_CHAT = "json: cannot unmarshal {} into Go struct field ChatRequest.{} of type {}"

CHAT: list[tuple[bytes, str]] = [
    (b"5", "json: cannot unmarshal number into Go value of type api.ChatRequest"),
    (b'"x"', "json: cannot unmarshal string into Go value of type api.ChatRequest"),
    (b"true", "json: cannot unmarshal bool into Go value of type api.ChatRequest"),
    (chat(model={}), IN_CHAT.format("object", "model", "string")),
    (chat(stream=1), IN_CHAT.format("number", "stream", "bool")),
    (chat(top_logprobs=1.5), IN_CHAT.format("number 1.5", "top_logprobs", "int")),
    (chat(top_logprobs=True), IN_CHAT.format("bool", "top_logprobs", "int")),
    (chat(messages=[{"role": 5}]), IN_CHAT.format("number", "messages.role", "string")),
    (chat(messages=[{"images": "x"}]), IN_CHAT.format("string", "messages.images", "[]api.ImageData")),
    (chat(messages=[{"images": ["AAA"]}]), "illegal base64 data at input byte 0"),
    (chat(messages=[{"images": ["AAAA-AAA"]}]), "illegal base64 data at input byte 4"),
    (chat(messages=[{"tool_calls": [5]}]), IN_CHAT.format("number", "messages.tool_calls", "api.ToolCall")),
    (chat(tools=[5]), IN_CHAT.format("number", "tools", "api.Tool")),
    (chat(tools=[{"function": 5}]), IN_CHAT.format("number", "tools.function", "api.ToolFunction")),
    (tools({"type": ["object"]}), IN_CHAT.format("array", "tools.function.parameters.type", "string")),
    (
        tools({"type": "object", "properties": {"a": True}}),
        "json: cannot unmarshal bool into Go value of type api.ToolProperty",
    ),
    (
        tools({"type": "object", "properties": []}),
        "json: cannot unmarshal array into Go value of type map[string]api.ToolProperty",
    ),
    (
        tools({"type": "object", "properties": {"a": {"description": 5}}}),
        "json: cannot unmarshal number into Go struct field ToolProperty.description of type string",
    ),
    (chat(keep_alive=True), "Unsupported type: 'bool'"),
    (chat(keep_alive={}), "Unsupported type: 'map[string]interface {}'"),
    (chat(top_logprobs=21), "top_logprobs must be between 0 and 20"),
    (chat(think="maximum"), 'invalid think value: "maximum" (must be "high", "medium", "low", "max", true, or false)'),
    (chat(think=[]), 'think must be a boolean or string ("high", "medium", "low", "max", true, or false)'),
]


@pytest.mark.parametrize(("body", "text"), CHAT)
def test_a_chat_of_the_wrong_shape_is_refused_in_gos_words(body: bytes, text: str) -> None:
    assert refusal(read_chat, body) == text


@pytest.mark.parametrize(
    ("read", "body", "text"),
    [
        (
            read_generate,
            b'{"prompt":5}',
            "json: cannot unmarshal number into Go struct field GenerateRequest.prompt of type string",
        ),
        (read_generate, b'{"top_logprobs":-1}', "top_logprobs must be between 0 and 20"),
        (
            read_embed,
            b'{"truncate":"no"}',
            "json: cannot unmarshal string into Go struct field EmbedRequest.truncate of type bool",
        ),
        (
            read_embeddings,
            b'{"prompt":[]}',
            "json: cannot unmarshal array into Go struct field EmbeddingRequest.prompt of type string",
        ),
        (
            read_show,
            b'{"model":5}',
            "json: cannot unmarshal number into Go struct field ShowRequest.model of type string",
        ),
        (read_show, b"", "missing request body"),
    ],
)
def test_other_requests_are_refused_alike(read: Callable[[bytes], Any], body: bytes, text: str) -> None:
    assert refusal(read, body) == text


def test_nothing_but_an_object_is_needed() -> None:
    request = read_chat(b"{}")
    assert (request.model, request.messages, request.stream, request.truncate, request.shift) == (
        "",
        (),
        True,
        True,
        True,
    )
    assert (request.format, request.keep_alive, request.think, request.tools) == (None, None, None, ())


def test_null_is_as_good_as_absent_names_match_without_case_and_unknown_ones_are_ignored() -> None:
    request = read_chat(
        b'{"Model":"m","stream":null,"FORMAT":"json","foo":1,"messages":[{"Role":"USER","content":null}]}'
    )
    assert (request.model, request.stream, request.format) == ("m", True, "json")
    assert (request.messages[0].role, request.messages[0].content) == ("user", "")


@pytest.mark.parametrize(
    ("value", "seconds"), [(30, 30), (1.5, 1.5), ("10m", 600), (0, 0), (-1, FOREVER), ("-1s", FOREVER)]
)
def test_keep_alive_is_in_seconds(value: Any, seconds: float) -> None:
    assert read_chat(chat(keep_alive=value)).keep_alive == seconds


def test_a_conversation_with_tools_is_read() -> None:
    call = {"id": "1", "function": {"index": 0, "name": "f", "arguments": {"b": 1, "a": 2}}}
    request = read_chat(
        chat(messages=[{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_name": "f"}])
    )
    assert list(request.messages[0].tool_calls[0].arguments.items()) == [("b", 1), ("a", 2)]
    assert request.messages[1].tool_name == "f"


def test_of_a_tools_schema_only_what_ollama_knows_is_kept() -> None:
    schema = {
        "$schema": "x",
        "title": "T",
        "description": "lost",
        "additionalProperties": False,
        "required": ["a"],
        "properties": {
            "a": {
                "title": "A",
                "type": ["string", "null"],
                "description": "kept",
                "minLength": 1,
                "enum": ["x"],
                "default": "x",
            },
            "b": {"oneOf": [{"type": "string"}], "$ref": "#/$defs/c"},
            "d": {"type": "array", "items": {"type": "string", "pattern": "verbatim"}},
            "e": {"anyOf": [{"type": "string", "format": "date"}], "required": []},
            "f": {"type": "object", "properties": {"g": {"const": 1, "type": "integer"}}},
        },
        "$defs": {"c": {"const": "verbatim"}},
        "type": "object",
    }
    kept = read_chat(tools(schema)).tools[0].parameters
    assert list(kept) == ["type", "$defs", "required", "properties"]
    assert kept["$defs"] == {"c": {"const": "verbatim"}}
    assert kept["properties"] == {
        "a": {"type": ["string", "null"], "description": "kept", "enum": ["x"]},
        "b": {},
        "d": {"type": "array", "items": {"type": "string", "pattern": "verbatim"}},
        "e": {"anyOf": [{"type": "string"}]},
        "f": {"type": "object", "properties": {"g": {"type": "integer"}}},
    }


def test_a_function_without_parameters_has_empty_ones() -> None:
    tool = read_chat(chat(tools=[{"type": "function", "function": {"name": "f"}}])).tools[0]
    assert tool.parameters == {"type": "", "properties": None}


# --- options ----------------------------------------------------------------------------------------------------------

WRONG_OPTIONS = [
    ({"num_ctx": "x"}, 'option "num_ctx" must be of type integer'),
    ({"num_ctx": True}, 'option "num_ctx" must be of type integer'),
    ({"temperature": "hot"}, 'option "temperature" must be of type float32'),
    ({"use_mmap": 1}, 'option "use_mmap" must be of type boolean'),
    ({"stop": "x"}, 'option "stop" must be of type array'),
    ({"stop": ["x", 5]}, 'option "stop" must be of an array of strings'),
]


@pytest.mark.parametrize(("options", "text"), WRONG_OPTIONS)
def test_an_option_of_the_wrong_type_is_the_servers_fault(options: dict[str, Any], text: str) -> None:
    with pytest.raises(Refusal) as refused:
        merge_options({}, options)
    assert (refused.value.status, refused.value.text) == (500, text)


def test_a_request_goes_before_the_modelfile_and_that_before_the_defaults() -> None:
    parameters = {"temperature": 0.5, "stop": ["a"], "num_ctx": 8192}
    merged = merge_options(
        parameters, {"temperature": 0, "stop": ["b"], "num_predict": 5.7, "foo": 1, "num_ctx": None, "use_mmap": True}
    )
    assert (merged["temperature"], merged["stop"], merged["num_predict"]) == (0, ["b"], 5)
    assert (merged["num_ctx"], merged["top_k"]) == (8192, 40)
    assert merged["use_mmap"] is True
    assert "foo" not in merged


SUITS = [
    ({}, {}, True),
    ({}, {"num_ctx": 4096}, True),
    ({}, {"num_ctx": 2048}, False),
    ({"num_ctx": 2048}, {}, False),
    ({"num_ctx": 99_999}, {"num_ctx": 32_768}, True),
    ({"num_gpu": 1}, {}, False),
    ({"num_gpu": 1}, {"num_gpu": 1, "temperature": 1}, True),
]


@pytest.mark.parametrize(("loaded", "wanted", "suits"), SUITS)
def test_a_runner_suits_who_wants_the_same_load_options(
    loaded: dict[str, Any], wanted: dict[str, Any], suits: bool
) -> None:
    def load(options: dict[str, Any]) -> LoadOptions:
        return load_options(options, default_context=4096, longest=32_768, least=4, shift=True)

    assert load(loaded).suits(load(wanted)) is suits
