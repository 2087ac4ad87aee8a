"""Thoughts and calls of tools, taken out of text that comes in pieces of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.simulator import Tool
from gateway.simulator.answers import Refusal
from gateway.simulator.finding import Call, Thoughts, ToolCalls
from gateway.simulator.parsing import HarmonyParser, NativeParser, Parser, TagParser

TOOLS = (Tool("get", "", {}), Tool("get_weather", "", {}), Tool("time", "", {}))


def tags(*, thinks: bool = True, tag: str = "<tool_call>") -> Callable[[], Parser]:
    return lambda: TagParser(Thoughts() if thinks else None, ToolCalls(TOOLS, tag))


def native() -> Parser:
    return NativeParser(thinks=True, tools=True)


Whole = tuple[str, str, list[tuple[str, Any]]]


def parse(make: Callable[[], Parser], text: str, size: int) -> Whole:
    """Return all content, all thoughts and all calls of a text that is fed in pieces."""
    parser = make()
    deltas = [parser.add(text[place : place + size]) for place in range(0, len(text), size)]
    found = [delta for delta in [*deltas, parser.add("", done=True)] if delta is not None]
    calls: list[Call] = [call for delta in found for call in delta.calls]
    assert [call.index for call in calls] == list(range(len(calls)))
    content = "".join(delta.content for delta in found)
    return content, "".join(delta.thinking for delta in found), [(call.name, call.arguments) for call in calls]


def call(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


CASES: list[tuple[str, Callable[[], Parser], str, Whole]] = [
    ("text", tags(), "just text", ("just text", "", [])),
    ("thoughts", tags(), "<think>\nhm\n</think>\n\nyes", ("yes", "hm\n", [])),
    ("thoughts alone", tags(), "<think>hm</think>", ("", "hm", [])),
    ("thoughts without an end", tags(), "<think>hm", ("", "hm", [])),
    ("a tag that is none", tags(), "<thin air", ("<thin air", "", [])),
    ("a closing tag that is none", tags(), "<think>a</thin</think>b", ("b", "a</thin", [])),
    ("space before thoughts", tags(), "  <think>a</think>b", ("b", "a", [])),
    ("one call", tags(), call("get_weather", '{"a": 1}'), ("", "", [("get_weather", {"a": 1})])),
    ("the shorter of two names", tags(), call("get", "{}"), ("", "", [("get", {})])),
    (
        "thoughts, text and two calls",
        tags(),
        "<think>a</think>" + "b" * 84 + call("time", "{}") + call("get", '{"x": "}"}'),
        ("b" * 84, "a", [("time", {}), ("get", {"x": "}"})]),
    ),
    ("parameters", tags(), '<tool_call>{"name": "get", "parameters": {"a": 1}}', ("", "", [("get", {"a": 1})])),
    (
        "arguments as text",
        tags(),
        '<tool_call>{"name": "get", "arguments": "{\\"a\\": 1}"}',
        ("", "", [("get", {"a": 1})]),
    ),
    ("an object by the tool's name", tags(), '<tool_call>{"get": {"a": 1}}', ("", "", [("get", {"a": 1})])),
    ("a nested call", tags(), '<tool_call>{"calls": [{"name": "get", "arguments": {}}]}', ("", "", [("get", {})])),
    ("bare arguments", tags(), '<tool_call>get {"a": 1}', ("", "", [("get", {"a": 1})])),
    ("a call cut short", tags(), '<tool_call>{"name": "get", "argum', ("", "", [])),
    ("a call without arguments", tags(), '<tool_call>{"name": "get"}', ("", "", [])),
    ("an unknown tool", tags(), call("other", "{}"), ("", "", [])),
    ("a brace that is no JSON", tags(), "<tool_call>get {oops}", ("", "", [])),
    (
        "bare JSON that is a call",
        tags(tag="{"),
        '{"name": "get", "arguments": {"a": 1}}',
        ("", "", [("get", {"a": 1})]),
    ),
    ("bare JSON that is no call", tags(tag="{"), '{"a": 1} and more', ('{"a": 1} and more', "", [])),
    ("bare JSON after text", tags(tag="{"), 'see {"name": "get"}', ('see {"name": "get"}', "", [])),
    ("bare JSON cut short", tags(tag="{"), '{"a": 1', ('{"a": 1', "", [])),
    ("harmony text", HarmonyParser, "<|channel|>final<|message|>hi", ("hi", "", [])),
    (
        "harmony thoughts and text",
        HarmonyParser,
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>hi<|end|>",
        ("hi", "hm", []),
    ),
    (
        "harmony call",
        HarmonyParser,
        '<|channel|>commentary to=functions.get <|constrain|>json<|message|>{"a": 1}',
        ("", "", [("get", {"a": 1})]),
    ),
    ("harmony call of nobody", HarmonyParser, "<|channel|>commentary to=<|message|>{}", ("", "", [])),
    ("harmony comment", HarmonyParser, "<|channel|>commentary<|message|>so<|end|>", ("so", "", [])),
    ("harmony without a message", HarmonyParser, "<|channel|>fin", ("", "", [])),
    ("native thoughts", native, "<think>\nhm\n</think>\n\nyes", ("yes", "hm", [])),
    ("native space in thoughts", native, "<think>a\n\nb </think>c", ("c", "a\n\nb", [])),
    (
        "native text and calls",
        native,
        "Let me see.\n" + call("get", '{"b": 1, "a": 2}') + "\n" + call("other", "{}"),
        ("Let me see.", "", [("get", {"b": 1, "a": 2}), ("other", {})]),
    ),
    ("native call that is no object", native, "<tool_call>[1]</tool_call>", ("", "", [("", {})])),
    ("native space in text", native, "a \n b < c", ("a \n b < c", "", [])),
]


@pytest.mark.parametrize("size", [1, 2, 7, 100])
@pytest.mark.parametrize(("make", "text", "whole"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_text_is_taken_apart_however_it_comes(make: Callable[[], Parser], text: str, whole: Whole, size: int) -> None:
    assert parse(make, text, size) == whole


def test_a_call_that_comes_in_one_piece_with_text_is_lost_as_in_ollama() -> None:
    assert parse(tags(), "text" + call("get", "{}"), 100) == ("text", "", [])
    assert parse(tags(), "text" + call("get", "{}"), 4) == ("text", "", [("get", {})])


@pytest.mark.parametrize(
    ("make", "text", "words"),
    [
        (
            native,
            '<tool_call>{"name": "get", "arguments": {"a',
            'llama-server returned invalid tool call arguments for "get": unexpected end of JSON input',
        ),
        (
            HarmonyParser,
            "<|channel|>commentary to=functions.get<|message|>{",
            "error parsing tool call: raw='{', err=unexpected end of JSON input",
        ),
    ],
)
def test_broken_arguments_are_an_error(make: Callable[[], Parser], text: str, words: str) -> None:
    parser = make()
    parser.add(text)
    with pytest.raises(Refusal) as refusal:
        parser.add("", done=True)
    assert (refusal.value.status, refusal.value.text) == (500, words)


def test_a_call_is_told_as_soon_as_it_is_whole() -> None:
    parser = tags()()
    text = call("time", '{"zone": "UTC"}')
    heard = ""
    for character in text:
        heard += character
        if (delta := parser.add(character)) is not None and delta.calls:
            break
    assert heard == text.removesuffix("}\n</tool_call>") + "}"
