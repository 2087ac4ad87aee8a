"""Completions: every field of OpenAI's and every extension, on old and new hosts, as the SDK gives them."""

from __future__ import annotations

import math
from typing import Any

import openai
import pytest

from adapters.options import KNOWN, RETIRED
from tests.conformance.rows import COMPLETIONS, shows
from tests.e2e.calling import WAYS, Caller
from tests.e2e.cast import LONG, SAID
from tests.e2e.completing import complete, extra, generates, text
from tests.e2e.conftest import Go, Host
from tests.running import eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "temp": {"type": "integer"}, "ok": {"type": "boolean"}},
    "required": ["city", "temp", "ok"],
}


# --- what goes to the host --------------------------------------------------------------------------------------------


async def test_what_was_not_said_is_not_sent(go_on: Go, host: Host, way: str) -> None:
    completion = await go_on("chat")

    assert generates(host) == [
        {
            "model": generates(host)[0]["model"],
            "prompt": "Once upon a time",
            "raw": True,
            "think": False,
            "stream": "streamed" in way,
            "truncate": False,
        }
    ]
    assert text(completion) == SAID


@pytest.mark.parametrize("way", WAYS)
@shows(COMPLETIONS, "honoured", "model", "prompt")
async def test_each_way_of_the_sdk_gets_the_same(host: Host, caller: Caller, way: str) -> None:
    completion = await complete(caller, way, model=host.model("chat"), prompt="Once<|s:long|>", stop=None, n=1)

    assert (completion.object, completion.model) == ("text_completion", host.model("chat"))
    assert completion.id.startswith("cmpl-")
    [choice] = completion.choices
    assert (choice.index, choice.text, choice.finish_reason, choice.logprobs) == (0, LONG, "stop", None)
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 5
    assert completion.usage.completion_tokens > 200
    assert extra(completion, "ollama")["done_reason"] == "stop"
    assert extra(completion, "ollama")["total_duration"] > 0


OPTIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"temperature": 0, "top_p": 1}, {"temperature": 0, "top_p": 1}),
    ({"frequency_penalty": -2, "presence_penalty": 1.5}, {"frequency_penalty": -2, "presence_penalty": 1.5}),
    ({"seed": 42}, {"seed": 42}),
    ({"max_tokens": 100}, {"num_predict": 100}),
]


@pytest.mark.parametrize(
    ("asked", "options"),
    [pytest.param(asked, options, marks=shows(COMPLETIONS, "honoured", *asked)) for asked, options in OPTIONS],
)
async def test_what_was_said_is_sent_as_it_was_said(go_on: Go, host: Host, asked: Any, options: Any) -> None:
    await go_on("chat", **asked)

    assert generates(host)[0]["options"] == options


EXTENSIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "options": ({"options": {"num_ctx": 8192, "top_k": 40}}, {"options": {"num_ctx": 8192, "top_k": 40}}),
    "within ollama": ({"ollama": {"options": {"top_k": 5}, "num_ctx": 512}}, {"options": {"num_ctx": 512, "top_k": 5}}),
    "keep_alive": ({"keep_alive": "30m"}, {"keep_alive": "30m"}),
    "think": ({"think": False}, {}),
    "format": ({"format": "json"}, {"format": "json"}),
    "shift": ({"shift": False}, {"shift": False}),
    "truncate": ({"truncate": True}, {"truncate": True}),
    "raw": ({"raw": True}, {}),
    "the template": ({"raw": False}, {"raw": ..., "think": ...}),
    "a template": ({"template": "{{ .Prompt }}"}, {"template": "{{ .Prompt }}", "raw": ..., "think": ...}),
    "a system text": ({"system": "Be brief."}, {"system": "Be brief.", "raw": ..., "think": ...}),
    "a context": ({"context": [1, 2]}, {"context": [1, 2], "raw": ..., "think": ...}),
}


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        pytest.param(said, sent, id=name, marks=shows(COMPLETIONS, "honoured", *said))
        for name, (said, sent) in EXTENSIONS.items()
    ],
)
async def test_an_extension_reaches_the_host_as_it_was_said(go_on: Go, host: Host, said: Any, sent: Any) -> None:
    await go_on("chat", extra_body=said)

    [body] = generates(host)
    expected = {"raw": True, "think": False, "truncate": False, **sent}
    assert {name: value for name, value in body.items() if name not in ("model", "prompt", "stream")} == {
        name: value for name, value in expected.items() if value is not ...
    }


VALUES: dict[str, Any] = {"integer": 4096, "number": 0.5, "boolean": False}


@pytest.mark.parametrize(
    ("option", "value"),
    [pytest.param(name, VALUES[kind], marks=shows(COMPLETIONS, "honoured", name)) for name, kind in KNOWN.items()],
)
async def test_every_option_of_ollama_may_stand_at_top_level(go_on: Go, host: Host, option: str, value: Any) -> None:
    await go_on("chat", extra_body={option: value})

    assert generates(host)[0]["options"] == {option: value}


@pytest.mark.parametrize(
    "option",
    [pytest.param(name, marks=shows(COMPLETIONS, "accepted without effect", name)) for name in sorted(RETIRED)],
)
async def test_an_option_that_ollama_no_longer_has_is_not_sent(go_on: Go, host: Host, option: str) -> None:
    await go_on("chat", extra_body={option: 1})

    assert "options" not in generates(host)[0]


async def test_what_has_no_effect_is_named(go_on: Go, caller: Caller) -> None:
    await go_on("chat", extra_body={"messages": [], "response_format": {"type": "json_object"}, "options": {"foo": 1}})

    ignored = caller.answers[0].headers["x-gateway-ignored"].split(", ")
    assert sorted(ignored) == ["messages", "options.foo", "response_format"]


@shows(COMPLETIONS, "honoured", "logit_bias", remark="when it is empty")
async def test_an_empty_bias_asks_for_nothing(go_on: Go, host: Host) -> None:
    await go_on("chat", logit_bias={})

    assert "options" not in generates(host)[0]


@shows(COMPLETIONS, "honoured", "user", remark="goes to the log")
async def test_who_asks_stands_in_the_log(go_on: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[Any] = []
    monkeypatch.setattr("gateway.log._write", lines.append)
    await go_on("chat", user="ada")

    await eventually(lambda: lines)
    assert lines[0].user == "ada"


@shows(COMPLETIONS, "honoured", "stream", "stream_options.include_usage")
async def test_a_stream_may_end_with_its_usage(caller: Caller, host: Host) -> None:
    for wanted in (True, False):
        stream = await caller.client.completions.create(
            model=host.model("chat"), prompt="hi", stream=True, stream_options={"include_usage": wanted}
        )
        async with stream:
            chunks = [chunk async for chunk in stream]
        assert (chunks[-1].usage is not None) == wanted


@shows(COMPLETIONS, "accepted without effect", "stream_options.include_obfuscation")
async def test_a_stream_is_not_padded(caller: Caller, host: Host) -> None:
    asked: Any = {"model": host.model("chat"), "prompt": "hi", "stream": True}
    async with await caller.client.completions.create(**asked, stream_options={"include_obfuscation": True}) as stream:
        chunks = [chunk async for chunk in stream]

    assert caller.answers[0].headers["x-gateway-ignored"] == "stream_options.include_obfuscation"
    assert not any(extra(chunk, "obfuscation") for chunk in chunks)


# --- what comes back --------------------------------------------------------------------------------------------------


async def test_an_answer_that_reached_its_limit(go_on: Go) -> None:
    completion = await go_on("chat", "Count<|s:long|>", max_tokens=4)

    assert completion.choices[0].finish_reason == "length"
    assert text(completion) == "Counting: 1 2 3 4"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 4


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"stop": " 7"}, marks=shows(COMPLETIONS, "honoured", "stop")),
        pytest.param({"stop": [" 7", "never"]}, marks=shows(COMPLETIONS, "honoured", "stop[]")),
        pytest.param(
            {"extra_body": {"options": {"stop": [" 7"]}}}, marks=shows(COMPLETIONS, "honoured", "options.stop")
        ),
    ],
)
async def test_a_stop_text_ends_an_answer_and_does_not_replace_those_of_the_model(
    go_on: Go, host: Host, fields: Any
) -> None:
    completion = await go_on("chat", "Count<|s:long|>", **fields)

    own = [] if host.native else ["<|im_start|>", "<|im_end|>"]
    assert text(completion) == "Counting: 1 2 3 4 5 6"
    assert completion.choices[0].finish_reason == "stop"
    said = ["never"] if isinstance(fields.get("stop"), list) else []
    assert generates(host)[0]["options"]["stop"] == [" 7", *said, *own]


@shows(COMPLETIONS, "emulated", "echo")
async def test_an_answer_may_begin_with_its_prompt(go_on: Go) -> None:
    assert text(await go_on("chat", "Say: ", echo=True)) == f"Say: {SAID}"


@shows(COMPLETIONS, "honoured", "logprobs")
async def test_log_probabilities(go_on: Go) -> None:
    completion = await go_on("chat", "Roll<|s:dice|>", temperature=0, logprobs=2)

    found = completion.choices[0].logprobs
    assert found is not None
    assert found.tokens == ["Red", " fox", " runs"]
    assert found.text_offset == [0, 3, 7]
    assert found.token_logprobs is not None
    assert found.top_logprobs is not None
    assert [list(top) for top in found.top_logprobs] == [["Red", "Blue"], [" fox", " owl"], [" runs", " sits"]]
    for token, logprob, top in zip(found.tokens, found.token_logprobs, found.top_logprobs, strict=True):
        assert math.isfinite(logprob)
        assert top[token] == logprob


async def test_log_probabilities_of_no_alternatives(go_on: Go, host: Host) -> None:
    completion = await go_on("chat", logprobs=0)

    found = completion.choices[0].logprobs
    assert found is not None
    assert found.tokens is not None
    assert found.text_offset is not None
    assert [len(top) for top in found.top_logprobs or []] == [1] * len(found.tokens)
    for token, offset in zip(found.tokens, found.text_offset, strict=True):
        assert "\N{REPLACEMENT CHARACTER}" in token or SAID[offset:].startswith(token)
    assert "top_logprobs" not in generates(host)[0]


@shows(COMPLETIONS, "emulated", "n")
async def test_several_answers_to_one_prompt(go_on: Go, host: Host) -> None:
    completion = await go_on("chat", "Roll<|s:dice|>", n=4, seed=7)
    alone = [text(await go_on("chat", "Roll<|s:dice|>", seed=7 + place)) for place in range(4)]

    assert [choice.index for choice in completion.choices] == [0, 1, 2, 3]
    assert [choice.text for choice in completion.choices] == alone
    assert sorted(body["options"]["seed"] for body in generates(host)[:4]) == [7, 8, 9, 10]
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (5, 4 * 4)
    assert all(extra(choice, "ollama")["done_reason"] == "stop" for choice in completion.choices)


@shows(COMPLETIONS, "emulated", "prompt[]", remark="texts")
async def test_several_prompts(go_on: Go, host: Host) -> None:
    completion = await go_on("chat", ["a<|s:json|>", "bc", "d<|s:silent|>"], n=2, echo=True)

    said = '{"city": "Paris", "temp": 21, "ok": true}'
    assert [choice.text for choice in completion.choices] == [
        *[f"a<|s:json|>{said}"] * 2,
        *[f"bc{SAID}"] * 2,
        *["d<|s:silent|>"] * 2,
    ]
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 2 + 2 + 2
    assert len(generates(host)) == 6


@shows(COMPLETIONS, "emulated", "best_of", remark="the likeliest of several answers")
async def test_the_best_of_several_answers(caller: Caller, host: Host) -> None:
    asked: Any = {"model": host.model("chat"), "prompt": "Roll<|s:dice|>", "seed": 1}
    all_of_them = await caller.client.completions.create(**asked, n=6, logprobs=0)
    best = await caller.client.completions.create(**asked, n=2, best_of=6)

    def likelihood(choice: Any) -> float:
        logprobs: list[float] = choice.logprobs.token_logprobs
        return sum(logprobs) / len(logprobs)

    likeliest = sorted(all_of_them.choices, key=likelihood, reverse=True)
    assert [choice.text for choice in best.choices] == [choice.text for choice in likeliest[:2]]
    assert [choice.logprobs for choice in best.choices] == [None, None]
    assert best.usage is not None
    assert all_of_them.usage is not None
    assert best.usage.completion_tokens == all_of_them.usage.completion_tokens


async def test_a_gap_is_filled(go_on: Go, host: Host) -> None:
    if host.native:
        with pytest.raises(openai.BadRequestError) as caught:
            await go_on("chat", "def add(a, b):\n", suffix="\n\nprint(add(1, 2))")
        assert caught.value.param == "suffix"
    else:
        completion = await go_on("chat", "def add(a, b):\n", suffix="\n\nprint(add(1, 2))")
        assert text(completion) == "    return a + b"
        assert "raw" not in generates(host)[0]


@shows(COMPLETIONS, "honoured", "suffix", remark="by a model with the capability `insert`")
async def test_a_suffix_reaches_the_host(caller: Caller, host: Host) -> None:
    for kind in ("0.24", "0.33"):
        completion = await complete(
            caller, "async", model=f"chat:{kind}", prompt="def add(a, b):\n", suffix="\n\nadd()"
        )
        assert text(completion) == "    return a + b"
