"""Completions that are refused, and those whose callers leave."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.conformance.rows import COMPLETIONS, shows
from tests.e2e.calling import Caller
from tests.e2e.cast import SAID
from tests.e2e.completing import PIXEL, complete, text
from tests.e2e.conftest import Host

pytestmark = pytest.mark.asyncio(loop_scope="package")


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
