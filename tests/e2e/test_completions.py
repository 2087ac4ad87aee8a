"""Completions: every field of OpenAI's and every extension, on old and new hosts, as the SDK gives them."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import openai
import pytest
from openai.types import Completion

from adapters.options import KNOWN, RETIRED
from tests.conformance.rows import COMPLETIONS, shows
from tests.e2e.calling import WAYS, Caller
from tests.e2e.cast import LONG, SAID
from tests.e2e.completing import complete
from tests.e2e.conftest import Host
from tests.running import eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")

Go = Callable[..., Awaitable[Completion]]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "temp": {"type": "integer"}, "ok": {"type": "boolean"}},
    "required": ["city", "temp", "ok"],
}
THOUGHT = "The user greets me, so I greet back.\n"
TAGGED = f"<think>\n{THOUGHT}</think>\n\nHi! I thought about it."


@pytest.fixture
def go_on(host: Host, caller: Caller, way: str) -> Go:
    """Ask a model of the host to go on with a text, in a way of the SDK."""

    async def go_on(model: str, prompt: Any = "Once upon a time", **fields: Any) -> Completion:
        return await complete(caller, way, model=host.model(model), prompt=prompt, **fields)

    return go_on


def generates(host: Host) -> list[Any]:
    """Return the bodies of the requests that a host got for texts."""
    return [request.json for request in host.simulator.requests if request.path == "/api/generate"]


def text(completion: Completion) -> str:
    [choice] = completion.choices
    return choice.text


def extra(thing: Any, name: str) -> Any:
    """Return what stands in an answer beside OpenAI's fields."""
    return (thing.model_extra or {}).get(name)


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


# --- within the model's template --------------------------------------------------------------------------------------


async def test_a_prompt_may_be_put_into_the_template(go_on: Go) -> None:
    assert text(await go_on("chat", "long", extra_body={"raw": False}, stop=[" 7"])) == "Counting: 1 2 3 4 5 6"


@shows(COMPLETIONS, "honoured", "_debug_render_only")
async def test_the_prompt_that_a_request_makes(go_on: Go) -> None:
    fields = {"raw": False, "system": "Be brief.", "_debug_render_only": True}
    completion = await go_on("chat", "hi there", extra_body=fields)

    rendered = extra(completion, "ollama")["_debug_info"]["rendered_template"]
    assert "Be brief." in rendered
    assert "hi there" in rendered


async def test_a_format_holds(go_on: Go) -> None:
    completion = await go_on("chat", "json", extra_body={"raw": False, "format": SCHEMA})

    assert text(completion) == '{"city": "Paris", "temp": 21, "ok": true}'


async def test_a_conversation_goes_on_from_its_context(go_on: Go, host: Host) -> None:
    first = await go_on("chat", "hi", extra_body={"context": []})
    context = extra(first, "ollama")["context"]
    second = await go_on("chat", "silent", extra_body={"context": context})

    assert text(first) == SAID
    assert text(second) == ""
    assert generates(host)[1]["context"] == context
    assert extra(second, "ollama")["context"][: len(context)] == context
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.prompt_tokens > first.usage.prompt_tokens + len(SAID.split())


async def test_a_raw_answer_has_no_context(go_on: Go) -> None:
    assert "context" not in extra(await go_on("chat"), "ollama")


async def test_each_choice_has_its_context(go_on: Go) -> None:
    completion = await go_on("chat", ["hi", "silent"], extra_body={"raw": False})

    contexts = [extra(choice, "ollama")["context"] for choice in completion.choices]
    assert len(contexts[0]) > len(contexts[1]) > 0


async def test_thoughts_stand_beside_the_text_on_old_and_new_hosts(go_on: Go) -> None:
    completion = await go_on("think", "hi", extra_body={"raw": False})

    assert text(completion) == "Hi! I thought about it."
    assert extra(completion.choices[0], "reasoning") == THOUGHT
    assert completion.usage is not None
    assert completion.usage.completion_tokens_details is not None
    assert completion.usage.completion_tokens_details.reasoning_tokens == 10


async def test_a_model_thinks_only_when_it_should(go_on: Go) -> None:
    completion = await go_on("think", "hi", extra_body={"raw": False, "think": False})

    assert text(completion) == SAID
    assert extra(completion.choices[0], "reasoning") is None


async def test_in_a_raw_text_a_thought_stays_where_the_model_wrote_it(go_on: Go) -> None:
    completion = await go_on("think", "hi<|s:think|>")

    assert text(completion) == TAGGED
    assert extra(completion.choices[0], "reasoning") is None


async def test_log_probabilities_have_no_thoughts(go_on: Go) -> None:
    completion = await go_on("think", "hi", logprobs=0, extra_body={"raw": False})

    found = completion.choices[0].logprobs
    assert found is not None
    assert found.tokens is not None
    assert "".join(found.tokens).endswith("Hi! I thought about it.")
    assert found.tokens[1:] == ["! I", " thought", " about", " it."]
    assert found.text_offset == [0, 2, 5, 13, 19]


async def test_a_model_that_cannot_think_answers_without(go_on: Go, caller: Caller) -> None:
    assert text(await go_on("chat", "hi", extra_body={"raw": False, "think": True})) == SAID
    assert caller.answers[0].headers["x-gateway-ignored"] == "think"


@shows(COMPLETIONS, "honoured", "images", remark="by a model with the capability `vision`")
async def test_a_picture_reaches_a_model_that_sees(go_on: Go, host: Host) -> None:
    completion = await go_on("see", "What is this?", extra_body={"images": [f"data:image/png;base64,{PIXEL}"]})

    assert text(completion) == SAID
    assert generates(host)[0]["images"] == [PIXEL]
    assert "raw" not in generates(host)[0]


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        pytest.param({"prompt": [1, 2, 3]}, "prompt", marks=shows(COMPLETIONS, "refused", "prompt[]", remark="tokens")),
        pytest.param(
            {"prompt": [[1, 2], [3]]}, "prompt", marks=shows(COMPLETIONS, "refused", "prompt[][]", remark="tokens")
        ),
        ({"prompt": ""}, "prompt"),
        ({"prompt": ["a"] * 33}, "prompt"),
        pytest.param(
            {"n": 33}, "n", marks=shows(COMPLETIONS, "refused", "n", remark="above `max_choices` of the configuration")
        ),
        pytest.param(
            {"best_of": 2, "stream": True},
            "best_of",
            marks=shows(COMPLETIONS, "refused", "best_of", remark="in a stream"),
        ),
        pytest.param(
            {"echo": True, "logprobs": 1}, "echo", marks=shows(COMPLETIONS, "refused", "echo", remark="with `logprobs`")
        ),
        ({"logprobs": 21}, "logprobs"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        pytest.param({"logit_bias": {"50256": -100}}, "logit_bias", marks=shows(COMPLETIONS, "refused", "logit_bias")),
        ({"extra_body": {"raw": True, "context": [1]}}, "context"),
        ({"extra_body": {"template": "{{ .Prompt"}}, "template"),
        ({"prompt": "word " * 100, "extra_body": {"num_ctx": 64}}, "prompt"),
        ({"suffix": "x", "model": "plain"}, "suffix"),
        ({"extra_body": {"images": [PIXEL]}}, "images"),
        ({"extra_body": {"format": {"type": "nothing"}}}, "format"),
    ],
)
async def test_a_refusal_names_the_field(caller: Caller, host: Host, fields: dict[str, Any], param: str) -> None:
    asked = {"prompt": "hi", **fields, "model": host.model(fields.get("model", "chat"))}
    with pytest.raises(openai.BadRequestError) as caught:
        await caller.client.completions.create(**asked)

    assert caught.value.param == param
    assert len(caller.answers) == 1


async def test_a_model_that_nobody_has(caller: Caller) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await caller.client.completions.create(model="nope", prompt="hi")
    assert caught.value.code == "model_not_found"


# --- callers that leave -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 3])
async def test_no_host_works_for_a_caller_that_left(caller: Caller, host: Host, n: int) -> None:
    simulator = host.simulator
    simulator.token_seconds = 0.01
    asked: Any = {"model": host.model("chat"), "prompt": "tick<|s:endless|>", "n": n, "stream": True}
    stream: Any = await caller.client.completions.create(**asked)
    begun = set()
    async for chunk in stream:
        begun |= {choice.index for choice in chunk.choices}
        if len(begun) == n:
            break
    await stream.close()

    await simulator.wait_until(lambda: simulator.cancelled == n)
    await simulator.wait_idle()
    simulator.token_seconds = 0.0
    assert text(await complete(caller, "async", model=host.model("chat"), prompt="hi")) == SAID
