"""Answers to chats: which events a recorded one makes, written out."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from adapters.errors import RunnerCrashed, ToolCallCut
from adapters.types import Alternative, Delta, Finish, TokenLogprob, ToolCall, Usage
from tests.adapters.ollama.events import calls, decoded, texts, thoughts
from tests.adapters.ollama.recorded import recording

HELLO = texts("Hello", " from", " the", " tiny", " model:", " caf", "é", ", 日本", "語", " 🙂", " and", " goodbye.")
GREETING = thoughts("The", " user", " greets", " me,", " so", " I", " greet", " back", ".\n")
HI = texts("Hi", "! I", " thought", " about", " it.")


def timings(total: int, load: int, prompt: int, completion: int = 0, reason: str = "stop") -> dict[str, Any]:
    found: dict[str, Any] = {"total_duration": total, "load_duration": load, "prompt_eval_duration": prompt}
    return {**found, **({"eval_duration": completion} if completion else {}), "done_reason": reason}


RECORDED: dict[str, list[Delta | Finish]] = {
    "0.24/chat-stream": [
        *HELLO,
        Finish(
            reason="stop",
            usage=Usage(prompt=22, completion=15),
            timings=timings(22023352, 4261763, 827415, 10694427),
        ),
    ],
    "0.33/chat-stream": [
        *HELLO,
        Finish(
            reason="stop",
            usage=Usage(prompt=22, completion=15),
            timings=timings(23329788, 2095785, 90866, 18158101),
        ),
    ],
    "0.24/chat-stream-silent": [
        Finish(reason="stop", usage=Usage(prompt=26, completion=1), timings=timings(10391194, 3450442, 2084012))
    ],
    "0.24/chat-options-num-predict-stream": [
        *texts("Counting: 1", " 2", " 3", " 4", " 5"),
        Finish(
            reason="length",
            usage=Usage(prompt=24, completion=5),
            timings=timings(10839754, 2503126, 791312, 3151955, "length"),
        ),
    ],
    # 37 characters of thoughts and 23 of text: 10 of 17 tokens.
    "0.24/chat-think-true-stream": [
        *GREETING,
        *HI,
        Finish(
            reason="stop",
            usage=Usage(prompt=22, completion=17, thinking=10),
            timings=timings(391612831, 375702887, 2393965, 11724715),
        ),
    ],
    "0.24/chat-tools-mixed-stream": [
        *texts("Let", " me", " check", ".\n"),
        calls((0, "call_vjc24gzb", "get_weather", '{"city":"Oslo"}')),
        calls((1, "call_zt44wlgc", "get_time", '{"zone":"UTC+1"}')),
        Finish(
            reason="tool_calls",
            usage=Usage(prompt=367, completion=23),
            timings=timings(26441639, 3217695, 2698649, 14343527),
        ),
    ],
    "0.33/chat-jinja-tools-mixed-stream": [
        *texts("Let", " me", " check", "."),
        calls(
            (0, "1ffb04f8632f1a67956d9ae33ea3cb12", "get_weather", '{"city":"Oslo"}'),
            (1, "35995f3dffc611f6913215c9d856c2a2", "get_time", '{"zone":"UTC+1"}'),
        ),
        Finish(
            reason="tool_calls",
            usage=Usage(prompt=396, completion=23),
            timings=timings(49460436, 4328493, 324413, 41834180),
        ),
    ],
    "0.33/chat-jinja-tools-rich-stream": [
        calls(
            (
                0,
                "e4e542cb945a69b8747ee1030fbf2876",
                "get_weather",
                '{"city":"Zürich","days":3,"low":-1.5,"wind":true,"note":null,"units":["C","F"],"where":{"lat":47.4,"lon":8.5}}',
            )
        ),
        Finish(
            reason="tool_calls",
            usage=Usage(prompt=395, completion=31),
            timings=timings(56933033, 2225649, 120129, 51540892),
        ),
    ],
    "0.33/chat-think-tools-nostream": [
        Delta(
            thinking="I need the weather tool.\n",
            tool_calls=(ToolCall(index=0, id="call_7kwntsms", name="get_weather", arguments=Raw(b'{"city":"Lima"}')),),
        ),
        # 25 characters of thoughts and 15 of arguments: 10 of 16 tokens.
        Finish(
            reason="tool_calls",
            usage=Usage(prompt=370, completion=16, thinking=10),
            timings=timings(24398893, 1911289, 142533, 19347236),
        ),
    ],
    "0.33/chat-harmony-tools-stream": [
        *thoughts("Call", " the weather tool", "."),
        calls((0, "call_2s1umq95", "get_weather", '{"city":"Quito"}')),
        Finish(
            reason="tool_calls",
            usage=Usage(prompt=370, completion=20, thinking=12),
            timings=timings(32041318, 1841068, 89803, 28003891),
        ),
    ],
    "0.24/chat-stream-repeat": [
        *texts(*[" ha"] * 31),
        Finish(reason="stop", usage=Usage(completion=31, estimated=True)),
    ],
    "0.24/chat-nostream-repeat": [
        *texts(" ha" * 31),
        Finish(reason="stop", usage=Usage(completion=24, estimated=True)),
    ],
    "0.24/chat-load-stream": [Finish(reason="stop", usage=Usage(), timings={"done_reason": "load"})],
    "0.33/chat-unload": [Finish(reason="stop", usage=Usage(), timings={"done_reason": "unload"})],
    "0.24/chat-debug-render": [
        Finish(
            reason="stop",
            usage=Usage(),
            timings={
                "_debug_info": {"rendered_template": "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<|s:say|>"}
            },
        )
    ],
}


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_answer_makes_exactly_these_events(name: str) -> None:
    assert decoded(recording(name).body) == RECORDED[name]


TICKS = (" tick", " tock", " ding", " dong", " plip", " plop")


@pytest.mark.parametrize(
    ("name", "before", "error", "said"),
    [
        (
            "0.24/broken-runner-stream",
            texts(*(TICKS * 2)[:11]),
            RunnerCrashed,
            "The process that runs the model stopped",
        ),
        ("0.33/broken-runner-jinja-stream", texts(*(TICKS * 2)[:11]), RunnerCrashed, "The process that runs the model"),
        (
            "0.33/chat-jinja-tools-cut-stream",
            texts("Let", " me", " check", "."),
            ToolCallCut,
            "The answer ran into its token limit inside a call of a tool",
        ),
    ],
)
def test_an_error_line_ends_the_answer(name: str, before: list[Delta], error: type, said: str) -> None:
    events = decoded(recording(name).body)
    assert events[:-1] == before
    kind, _, message, _ = events[-1]
    assert kind is error
    assert message.startswith(said)


def test_log_probabilities_keep_their_bytes_and_alternatives() -> None:
    delta = decoded(recording("0.24/chat-top-logprobs-nostream").body)[0]
    assert delta.logprobs[0] == TokenLogprob(
        token="Red",
        logprob=-0.5882843136787415,
        bytes=[82, 101, 100],
        top_logprobs=[
            Alternative("Red", -0.5882843136787415, [82, 101, 100]),
            Alternative("Blue", -1.3382842540740967, [66, 108, 117, 101]),
            Alternative("Green", -2.0882842540740967, [71, 114, 101, 101, 110]),
            Alternative("Gold", -2.8382842540740967, [71, 111, 108, 100]),
        ],
    )


def test_log_probabilities_of_thoughts_are_left_out() -> None:
    events = decoded(recording("0.24/chat-logprobs-think-stream").body)
    assert events[:9] == GREETING
    assert [(event.text, [token.token for token in event.logprobs]) for event in events[9:-1]] == [
        ("Hi", [">\n\nHi"]),
        ("! I", ["! I"]),
        (" thought", [" thought"]),
        (" about", [" about"]),
        (" it.", [" it."]),
    ]


def test_log_probabilities_come_while_a_tool_call_is_held_back() -> None:
    events = decoded(recording("0.24/chat-tools-logprobs-stream").body)
    tokens = [token.token for event in events[:-1] for token in event.logprobs]
    assert tokens[:2] == ["<tool_call", '>\n{"']
    assert all(event.text == "" for event in events[:-1])
    assert events[-1].reason == "tool_calls"
