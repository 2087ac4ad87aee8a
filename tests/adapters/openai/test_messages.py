from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from adapters.types import Media, Message, ToolCall
from tests.adapters.openai.requests import HELLO, decode, decode_message, refusal
from tests.adapters.openai.test_media import PNG, PNG_URL, WAV

IMAGE = {"type": "image_url", "image_url": {"url": PNG_URL, "detail": "auto"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}
PNG_MEDIA = Media("image", PNG)


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def call(**fields: Any) -> dict[str, Any]:
    return {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}"}, **fields}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"role": "system", "content": "Be brief."}, Message(role="system", text="Be brief.")),
        ({"role": "developer", "content": "Be brief."}, Message(role="system", text="Be brief.")),
        ({"role": "developer", "content": [text("a"), text("b")]}, Message(role="system", text="a\nb")),
        ({"role": "user", "content": "hi", "name": None}, Message(role="user", text="hi")),
        ({"role": "user", "content": ""}, Message(role="user")),
        ({"role": "user", "content": []}, Message(role="user")),
        ({"role": "user", "content": None}, Message(role="user")),
        ({"role": "user"}, Message(role="user")),
        ({"role": "user", "content": [text("a"), text(""), text("b")]}, Message(role="user", text="a\n\nb")),
        (
            {"role": "user", "content": [text("a"), IMAGE, text("b"), {"type": "image_url", "image_url": PNG_URL}]},
            Message(role="user", text="a\nb", media=(PNG_MEDIA, PNG_MEDIA)),
        ),
        (
            {
                "role": "user",
                "content": [IMAGE, {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}],
            },
            Message(role="user", media=(PNG_MEDIA, Media("audio", WAV))),
        ),
        ({"role": "user", "tool_calls": "not looked at", "content": "x"}, Message(role="user", text="x")),
        ({"role": "assistant", "content": "Hello."}, Message(role="assistant", text="Hello.")),
        ({"role": "assistant", "content": None}, Message(role="assistant")),
        ({"role": "assistant"}, Message(role="assistant")),
        ({"role": "assistant", "content": None, "refusal": "No."}, Message(role="assistant", text="No.")),
        ({"role": "assistant", "content": "Well.", "refusal": "No."}, Message(role="assistant", text="Well.\nNo.")),
        (
            {"role": "assistant", "content": [text("a"), {"type": "refusal", "refusal": "no"}]},
            Message(role="assistant", text="a\nno"),
        ),
        (
            {"role": "assistant", "content": "x", "audio": None, "annotations": [], "tool_calls": None},
            Message(role="assistant", text="x"),
        ),
        (
            {"role": "assistant", "content": "x", "reasoning": "r", "reasoning_content": "r"},
            Message(role="assistant", text="x", thinking="r"),
        ),
        (
            {"role": "assistant", "content": "x", "reasoning": None, "reasoning_content": "r"},
            Message(role="assistant", text="x", thinking="r"),
        ),
        ({"role": "assistant", "content": "x", "thinking": "r"}, Message(role="assistant", text="x", thinking="r")),
        (
            {
                "role": "assistant",
                "content": "x",
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "first, "},
                    {"type": "reasoning.encrypted", "data": "…"},
                    {"type": "reasoning.text", "text": "second"},
                ],
            },
            Message(role="assistant", text="x", thinking="first, second"),
        ),
        (
            {"role": "assistant", "content": None, "tool_calls": [call()]},
            Message(role="assistant", tool_calls=(ToolCall(id="call_a", name="f", arguments=Raw(b"{}")),)),
        ),
        (
            {"role": "assistant", "content": "Both.", "tool_calls": [call(), call(id="call_b", type=None)]},
            Message(
                role="assistant",
                text="Both.",
                tool_calls=(
                    ToolCall(id="call_a", name="f", arguments=Raw(b"{}")),
                    ToolCall(id="call_b", name="f", arguments=Raw(b"{}"), index=1),
                ),
            ),
        ),
        (
            {"role": "tool", "tool_call_id": "gone", "content": [text("1"), IMAGE, text("2")]},
            Message(role="tool", text="1\n2", media=(PNG_MEDIA,), tool_call_id="gone"),
        ),
        (
            {"role": "tool", "tool_call_id": "gone", "name": "f", "content": "1"},
            Message(role="tool", text="1", tool_call_id="gone", tool_name="f"),
        ),
        ({"role": "function", "name": "f", "content": "1"}, Message(role="tool", text="1", tool_name="f")),
    ],
)
def test_every_role_and_form_of_content(message: dict[str, Any], expected: Message) -> None:
    assert decode_message(message) == expected
    assert decode(messages=[message]).ignored == ()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("{}", "{}"),
        ('{"b": 1.0, "a": [1,2]}', '{"b": 1.0, "a": [1,2]}'),
        (' {"a":1}\n', '{"a":1}'),
        ({"b": 1, "a": None}, '{"b":1,"a":null}'),
        ("", "{}"),
        ("  ", "{}"),
        (None, "{}"),
        ('{"city": "Aus', '{"arguments":"{\\"city\\": \\"Aus"}'),
        ("[1]", '{"arguments":"[1]"}'),
        ("null", '{"arguments":"null"}'),
        ('{"a": NaN}', '{"arguments":"{\\"a\\": NaN}"}'),
        ([1, "x"], '{"arguments":"[1,\\"x\\"]"}'),
        (7, '{"arguments":"7"}'),
        (True, '{"arguments":"true"}'),
    ],
)
def test_arguments_become_a_json_object(arguments: object, expected: str) -> None:
    function = {"name": "f", "arguments": arguments}
    message = decode_message({"role": "assistant", "tool_calls": [call(function=function)]})
    assert bytes(message.tool_calls[0].arguments).decode() == expected
    assert isinstance(json.loads(bytes(message.tool_calls[0].arguments)), dict)


def test_arguments_may_be_left_out() -> None:
    message = decode_message({"role": "assistant", "tool_calls": [call(function={"name": "f"})]})
    assert bytes(message.tool_calls[0].arguments) == b"{}"


def test_arguments_nested_beyond_reading_are_kept_as_text() -> None:
    function = {"name": "f", "arguments": '{"a":' * 100_000}
    message = decode_message({"role": "assistant", "tool_calls": [call(function=function)]})
    assert json.loads(bytes(message.tool_calls[0].arguments)) == {"arguments": '{"a":' * 100_000}


def test_calls_without_an_id_get_one_from_their_place() -> None:
    message = {"role": "assistant", "tool_calls": [call(id=None), call(), call(id="")]}
    calls = decode_message(HELLO, message).tool_calls
    assert [item.id for item in calls] == ["call_1_0", "call_a", "call_1_2"]
    assert [item.index for item in calls] == [0, 1, 2]


def results(*messages: dict[str, Any]) -> list[tuple[str, str]]:
    decoded = decode(messages=[HELLO, *messages]).messages
    return [(message.tool_call_id, message.tool_name) for message in decoded if message.role == "tool"]


def named(call_id: str | None, name: str) -> dict[str, Any]:
    return call(id=call_id, function={"name": name, "arguments": "{}"})


def test_a_result_learns_its_functions_name_from_its_id() -> None:
    calls = {"role": "assistant", "tool_calls": [named("1", "sun"), named("2", "rain")]}
    answers = [{"role": "tool", "tool_call_id": "2", "content": ""}, {"role": "tool", "tool_call_id": "1", "name": "x"}]
    assert results(calls, *answers) == [("2", "rain"), ("1", "sun")]


def test_an_id_used_again_means_the_later_call() -> None:
    first: list[dict[str, Any]] = [
        {"role": "assistant", "tool_calls": [named("0", "sun")]},
        {"role": "tool", "tool_call_id": "0"},
    ]
    second: list[dict[str, Any]] = [
        {"role": "assistant", "tool_calls": [named("0", "rain")]},
        {"role": "tool", "tool_call_id": "0"},
    ]
    assert results(*first, *second) == [("0", "sun"), ("0", "rain")]


def test_a_result_with_only_a_name_answers_the_oldest_open_call_of_that_name() -> None:
    calls = {"role": "assistant", "tool_calls": [named("1", "sun"), named("2", "rain"), named("3", "rain")]}
    answers = [{"role": "tool", "name": "rain"}, {"role": "tool", "name": "rain"}, {"role": "tool", "name": "rain"}]
    assert results(calls, *answers) == [("2", "rain"), ("3", "rain"), ("", "rain")]


def test_a_result_with_nothing_answers_the_oldest_open_call() -> None:
    calls = {"role": "assistant", "tool_calls": [named("1", "sun"), named(None, "rain"), named("3", "snow")]}
    answers = [{"role": "tool", "tool_call_id": "1"}, {"role": "tool"}, {"role": "tool"}]
    assert results(calls, *answers) == [("1", "sun"), ("call_1_1", "rain"), ("3", "snow")]


def test_the_legacy_form_of_a_call_and_its_result() -> None:
    conversation = [
        HELLO,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a":1}'}},
        {"role": "function", "name": "f", "content": "21"},
    ]
    request = decode(messages=conversation)
    expected = ToolCall(id="call_1_0", name="f", arguments=Raw(b'{"a":1}'))
    assert request.messages[1] == Message(role="assistant", tool_calls=(expected,))
    assert request.messages[2] == Message(role="tool", text="21", tool_call_id="call_1_0", tool_name="f")


DEEP = json.loads('{"a":' * 101 + "1" + "}" * 101)


@pytest.mark.parametrize(
    ("message", "param", "code"),
    [
        ({}, "role", "missing_required_parameter"),
        ({"role": None}, "role", "missing_required_parameter"),
        ({"role": 1}, "role", "invalid_type"),
        ({"role": "User"}, "role", "invalid_value"),
        ({"role": ""}, "role", "invalid_value"),
        ({"role": "user", "content": 7}, "content", "invalid_type"),
        ({"role": "user", "content": {"type": "text"}}, "content", "invalid_type"),
        ({"role": "user", "content": ["a"]}, "content[0]", "invalid_type"),
        ({"role": "user", "content": [{}]}, "content[0].type", "missing_required_parameter"),
        ({"role": "user", "content": [text("a"), {"type": "text"}]}, "content[1].text", "missing_required_parameter"),
        ({"role": "user", "content": [text(7)]}, "content[0].text", "invalid_type"),  # type: ignore[arg-type]
        ({"role": "user", "content": [{"type": "video_url"}]}, "content[0].type", "invalid_value"),
        (
            {"role": "user", "content": [{"type": "file", "file": {}}]},
            "content[0].file.file_data",
            "missing_required_parameter",
        ),
        ({"role": "assistant", "refusal": 7}, "refusal", "invalid_type"),
        ({"role": "assistant", "reasoning": {}}, "reasoning", "invalid_type"),
        ({"role": "assistant", "reasoning_details": "x"}, "reasoning_details", "invalid_type"),
        ({"role": "assistant", "tool_calls": {}}, "tool_calls", "invalid_type"),
        ({"role": "assistant", "tool_calls": [1]}, "tool_calls[0]", "invalid_type"),
        ({"role": "assistant", "tool_calls": [{}]}, "tool_calls[0].function", "missing_required_parameter"),
        ({"role": "assistant", "tool_calls": [call(type="custom")]}, "tool_calls[0].type", "unsupported_value"),
        ({"role": "assistant", "tool_calls": [call(id=7)]}, "tool_calls[0].id", "invalid_type"),
        (
            {"role": "assistant", "tool_calls": [call(function={"arguments": "{}"})]},
            "tool_calls[0].function.name",
            "missing_required_parameter",
        ),
        (
            {"role": "assistant", "tool_calls": [call(function={"name": "f", "arguments": DEEP})]},
            "tool_calls[0].function.arguments",
            "invalid_value",
        ),
        ({"role": "assistant", "function_call": {"name": ""}}, "function_call.name", "empty_string"),
        ({"role": "assistant", "function_call": "f"}, "function_call", "invalid_type"),
        ({"role": "tool", "content": "1"}, "tool_call_id", "missing_required_parameter"),
        ({"role": "tool", "tool_call_id": 1}, "tool_call_id", "invalid_type"),
        ({"role": "function", "content": "1"}, "name", "missing_required_parameter"),
    ],
)
def test_a_refusal_names_the_place_in_the_conversation(message: dict[str, Any], param: str, code: str) -> None:
    assert refusal(messages=[HELLO, message])[:2] == (f"messages[1].{param}", code)
