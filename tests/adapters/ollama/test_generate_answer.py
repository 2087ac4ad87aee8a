"""Answers to texts: which events they make, recorded and others."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import HostBroken, RunnerCrashed
from adapters.ollama.generate import StreamDecoder, may_begin_with_thought
from adapters.types import Delta, Finish, GenerateRequest, Usage
from tests.adapters.ollama.events import generated, texts, thoughts
from tests.adapters.ollama.recorded import recording
from tests.adapters.ollama.test_chat_answer import GREETING, HELLO, HI, timings

FOX = (28, 111, 130, 129, 61, 131, 140, 149, 61, 143, 146, 139, 144)

RECORDED: dict[str, list[Delta | Finish]] = {
    "0.24/generate-raw-stream": [
        *HELLO,
        Finish(
            reason="stop", usage=Usage(prompt=2, completion=15), timings=timings(16399594, 1875150, 682198, 12700290)
        ),
    ],
    "0.24/generate-template": [
        *texts("Red fox runs"),
        Finish(
            reason="stop",
            usage=Usage(prompt=3, completion=4),
            timings={**timings(9209730, 3233197, 1431787, 2985367), "context": (133, 134, *FOX)},
        ),
    ],
    "0.24/generate-repeat": [*texts(" ha" * 31), Finish(reason="stop", usage=Usage(completion=24, estimated=True))],
    "0.24/generate-load": [Finish(reason="stop", usage=Usage(), timings={"done_reason": "load"})],
    "0.24/generate-unload": [Finish(reason="stop", usage=Usage(), timings={"done_reason": "unload"})],
}


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_answer_makes_exactly_these_events(name: str) -> None:
    assert generated(recording(name).body) == RECORDED[name]


@pytest.mark.parametrize("version", ["0.24", "0.33"])
def test_the_context_comes_with_the_end(version: str) -> None:
    asked = recording(f"{version}/generate-context-round-trip")
    [end] = generated(asked.body)
    before = asked.request["body"]["context"]
    assert list(end.timings["context"][: len(before)]) == before
    assert len(end.timings["context"]) > len(before)


def test_a_limit_is_told() -> None:
    assert generated(recording("0.33/generate-num-predict").body)[-1].reason == "length"


def test_log_probabilities_come_with_their_text() -> None:
    [delta, _] = generated(recording("0.24/generate-logprobs").body)
    assert [logprob.token for logprob in delta.logprobs] == ["Red", " fox", " runs"]


# --- thoughts ---------------------------------------------------------------------------------------------------------

STREAMED = [*GREETING, *HI]
WHOLE = [Delta(thinking="The user greets me, so I greet back.\n", text="Hi! I thought about it.")]


@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("0.24/generate-think-stream", STREAMED),
        ("0.33/generate-think-stream", STREAMED),
        ("0.33/generate-jinja-think-stream", STREAMED),
        ("0.24/generate-think-true", WHOLE),
        ("0.33/generate-think-true", WHOLE),
        ("0.33/generate-jinja-think", WHOLE),
        ("0.33/generate-jinja-think-false", texts("Hello from the tiny model: café, 日本語 🙂 and goodbye.")),
        ("0.33/generate-stream", HELLO),
    ],
)
def test_thoughts_are_told_apart_alike_by_old_and_new_hosts(name: str, events: list[Delta]) -> None:
    *found, end = generated(recording(name).body, split_thoughts=True)
    assert found == events
    assert end.usage.thinking == (10 if any(event.thinking for event in events) else 0)


def test_a_stream_with_a_thought_ends_well_wherever_it_is_cut() -> None:
    body = recording("0.33/generate-jinja-think-stream").body
    lines = body.splitlines(keepends=True)
    raw = ""
    for count, line in enumerate(lines[:-1], 1):
        raw += json.loads(line)["response"]
        *found, end = generated(b"".join(lines[:count]), split_thoughts=True)
        thinking, text = ("".join(getattr(event, kind) for event in found) for kind in ("thinking", "text"))
        before, _, after = raw.removeprefix("<think>\n").partition("</think>")
        assert (thinking, text) == ((before, after.lstrip()) if raw.startswith("<think>") else ("", raw))
        assert (end.reason, end.usage.estimated) == ("stop", True)


def test_without_splitting_the_text_stays_as_the_model_wrote_it() -> None:
    *found, end = generated(recording("0.33/generate-jinja-think-stream").body)
    said = "".join(event.text for event in found)
    assert said == "<think>\nThe user greets me, so I greet back.\n</think>\n\nHi! I thought about it."
    assert end.usage.thinking == 0


@pytest.mark.parametrize(
    ("fields", "may"),
    [
        ({}, True),
        ({"raw": False}, True),
        ({"think": True}, True),
        ({"think": "low"}, True),
        ({"raw": True}, False),
        ({"think": False}, False),
        ({"suffix": "x"}, False),
        ({"format": "json"}, False),
        ({"format": {}}, False),
    ],
)
def test_a_text_may_begin_with_a_thought_where_the_model_is_asked_something(fields: dict[str, Any], may: bool) -> None:
    assert may_begin_with_thought(GenerateRequest(model="m", prompt="hi", **fields)) is may


def test_what_is_held_back_comes_before_thoughts_that_the_host_tells_apart() -> None:
    lines = [frame(" <"), frame(thinking="hm"), frame("<think>")]
    assert generated(*lines, split_thoughts=True)[:-1] == [*texts(" <"), *thoughts("hm"), *texts("<think>")]


@pytest.mark.parametrize(
    "end", [b"", b'{"error": "x"}\n', b"garbage\n", b"{}\n"], ids=["nothing", "an error", "garbage", "no part"]
)
def test_what_is_held_back_comes_before_any_end(end: bytes) -> None:
    assert generated(frame("<thi"), end, split_thoughts=True)[:-1] == texts("<thi")


def test_what_is_held_back_comes_before_a_line_that_is_too_long() -> None:
    reader = StreamDecoder(split_thoughts=True, limit=100)
    events = reader.feed(frame("<thi") + b"x" * 101)
    assert events[:-1] == texts("<thi")
    assert reader.finished


THOUGHT = ["<think", ">\nThe", " user", ".\n</", "think", ">\n\nHi", "! I", " thought"]


@pytest.mark.parametrize(
    "told",
    [
        [("", ""), ("The", ""), (" user", ""), (".\n", ""), ("", ""), ("", "Hi"), ("", "! I"), ("", " thought")],
        [("", piece) for piece in THOUGHT],
    ],
    ids=["told apart by the host", "left in the text"],
)
def test_log_probabilities_of_thoughts_are_left_out(told: list[tuple[str, str]]) -> None:
    pieces = zip(THOUGHT, told, strict=True)
    lines = [frame(text, thinking=thinking, logprobs=[token(piece)]) for piece, (thinking, text) in pieces]
    *events, _ = generated(*lines, DONE, split_thoughts=True)
    assert [(event.text, [logprob.token for logprob in event.logprobs]) for event in events if event.text] == [
        ("Hi", [">\n\nHi"]),
        ("! I", ["! I"]),
        (" thought", [" thought"]),
    ]
    assert not any(event.logprobs for event in events if not event.text)


def test_the_token_of_a_stop_text_comes_at_the_end() -> None:
    lines = [frame("a", logprobs=[token("a")]), frame(logprobs=[token("STOP")])]
    assert [[logprob.token for logprob in event.logprobs] for event in generated(*lines, DONE)[:-1]] == [
        ["a"],
        ["STOP"],
    ]


# --- what no recording has --------------------------------------------------------------------------------------------


def frame(response: str = "", *, done: bool = False, **fields: Any) -> bytes:
    return json.dumps({"model": "m", **fields, "response": response, "done": done}).encode() + b"\n"


def token(text: str) -> dict[str, Any]:
    return {"token": text, "logprob": -1.0}


DONE = frame(done=True, done_reason="stop", prompt_eval_count=5, eval_count=6)


@pytest.mark.parametrize(
    ("said", "calls", "text"),
    [
        ("", [("f", {"b": 1, "a": "é"})], '{"name":"f","arguments":{"b": 1, "a": "\\u00e9"}}'),
        ("Look:", [("f", {}), ("g", {})], 'Look:\n{"name":"f","arguments":{}}\n{"name":"g","arguments":{}}'),
    ],
)
def test_calls_of_tools_that_nobody_offered_are_text(said: str, calls: list[tuple[str, Any]], text: str) -> None:
    tool_calls = [{"id": "x", "function": {"name": name, "arguments": arguments}} for name, arguments in calls]
    [delta, end] = generated(frame(said, done=True, done_reason="stop", tool_calls=tool_calls))
    assert delta == Delta(text=text)
    assert end.reason == "stop"


def test_cached_tokens_are_told_when_the_host_tells_them() -> None:
    line = frame(done=True, prompt_eval_count=9, prompt_eval_cached_count=0, eval_count=1)
    assert generated(line)[-1].usage == Usage(prompt=9, completion=1, cached=0)


def test_the_rendered_prompt_is_an_answer() -> None:
    info = {"rendered_template": "<|user|>hi", "image_count": 0}
    assert generated(frame(_debug_info=info)) == [
        Finish(reason="stop", usage=Usage(), timings={"_debug_info": info}),
    ]


def test_an_error_line_ends_the_answer() -> None:
    line = b'{"error": "an error was encountered while running the model: unexpected EOF"}\n'
    events = generated(frame("a"), line, frame("b"))
    assert events[:-1] == texts("a")
    assert events[-1][0] is RunnerCrashed


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ("the input length exceeds the context length", "prompt"),
        ("invalid JSON schema in format", "format"),
        ("template: :1: unclosed action", "template"),
    ],
)
def test_an_error_line_names_the_callers_field(said: str, param: str) -> None:
    assert generated(json.dumps({"error": said}).encode())[-1][1] == param


@pytest.mark.parametrize(
    "line",
    [
        b'{"message": {"content": "the answer to a chat"}}\n',
        b'{"response": null}\n',
        b'{"response": 5}\n',
        b'{"response": "", "done": true, "context": ["x"]}\n',
        b'{"response": "", "done": true, "context": "x"}\n',
        b'{"response": "", "done": true, "tool_calls": [{"function": {"name": "f", "arguments": {"a": "\xff"}}}]}\n',
    ],
)
def test_garbage_is_a_failure_and_what_came_before_stays(line: bytes) -> None:
    events = generated(frame("a"), line, DONE)
    assert events[:-1] == texts("a")
    assert events[-1][0] is HostBroken


def test_an_answer_that_just_ends_gets_an_end() -> None:
    assert generated(frame("four"), frame("four"), prompt_characters=9, num_predict=2) == [
        *texts("four", "four"),
        Finish(reason="length", usage=Usage(prompt=3, completion=2, estimated=True)),
    ]


def test_where_only_the_connection_ends_an_answer_without_its_end_is_cut() -> None:
    assert generated(frame("a"), framed=False)[-1][0] is HostBroken


LINES = st.sampled_from(
    [
        frame("a"),
        frame("<think>"),
        frame("x</think>y"),
        frame(thinking="b"),
        frame("c", logprobs=[{"token": "c", "logprob": 0}]),
        frame("d", done=True, context=[1]),
        DONE,
        b"\n",
        b'{"error": "x"}\n',
        b"half",
    ]
)


@given(st.lists(st.binary(max_size=64), max_size=8))
def test_no_bytes_make_it_raise(pieces: list[bytes]) -> None:
    events = generated(*pieces, split_thoughts=True)
    assert events
    assert not isinstance(events[-1], Delta)


@given(st.lists(LINES, max_size=12), st.lists(st.integers(min_value=1, max_value=99), min_size=1, max_size=20))
def test_any_pieces_of_a_body_give_the_same_events(lines: list[bytes], sizes: list[int]) -> None:
    body = b"".join(lines)
    pieces = []
    rest = body
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    assert generated(*pieces, rest, split_thoughts=True) == generated(body, split_thoughts=True)
