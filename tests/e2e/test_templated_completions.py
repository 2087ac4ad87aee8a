"""Completions within the model's template: what a prompt becomes there, contexts, thoughts, pictures."""

from __future__ import annotations

import pytest

from tests.conformance.rows import COMPLETIONS, shows
from tests.e2e.calling import Caller
from tests.e2e.cast import SAID
from tests.e2e.completing import PIXEL, extra, generates, text
from tests.e2e.conftest import Go, Host

pytestmark = pytest.mark.asyncio(loop_scope="package")

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "temp": {"type": "integer"}, "ok": {"type": "boolean"}},
    "required": ["city", "temp", "ok"],
}
THOUGHT = "The user greets me, so I greet back.\n"
TAGGED = f"<think>\n{THOUGHT}</think>\n\nHi! I thought about it."


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
