"""Embeddings, usage, models, images, completions, and what is not served."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.config import ImageSettings
from gateway.simulator import Simulator
from gateway.simulator.faults import Fail
from tests.beside.exchanges import Answer, Ours, Theirs, answer_of, beside
from tests.gateway.images.web import serving
from tests.gateway.simulator.tiny import tiny_chat, tiny_embed
from tests.interop.installed import TIKTOKEN
from tests.running import chats, running

pytestmark = pytest.mark.asyncio(loop_scope="package")

# --- embeddings -------------------------------------------------------------------------------------------------------


@beside("embeddings-tokens")
async def test_token_ids_are_turned_back_into_text(theirs: Theirs, ours: Ours, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenAI's encoding has `"` and `#` for the recorded ids."""
    assert (theirs.status, theirs.error["message"], theirs.error["param"]) == (400, "invalid input type", None)

    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(TIKTOKEN))
    answer = await ours.answer(theirs)
    assert len(answer.json["data"][0]["embedding"]) == 32
    assert ours.sent("/api/embed")[0]["input"] == ['"#']


@beside("0.33/embeddings-tokens")
async def test_without_the_table_of_tokens_the_error_says_what_to_do(
    theirs: Theirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    async with Simulator(models=[tiny_embed]) as host, running(host) as gateway:
        answer = answer_of(await gateway.client.post(theirs.path, json=theirs.asked))

    assert (answer.status, answer.error["param"]) == (400, "input")
    assert "check_embedding_ctx_length=False" in answer.error["message"]


@beside("embeddings-overflow")
async def test_an_input_that_does_not_fit_is_refused(theirs: Theirs, ours: Ours) -> None:
    """It has hundreds of words; Ollama took the 64 tokens that fit, and said nothing of it."""
    assert len(theirs.asked["input"].split()) > 64
    assert (theirs.status, theirs.usage["prompt_tokens"]) == (200, 64)

    answer = await ours.answer(theirs)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "context_length_exceeded", "input")
    cut = await ours.answer(theirs, truncate=True)
    assert cut.usage == theirs.usage


@beside("0.33/embeddings-list")
async def test_a_part_of_a_batch_that_failed_is_asked_for_elsewhere(theirs: Theirs) -> None:
    """The inputs of the recording, many times over, on two hosts; the model crashes once on one of them."""
    inputs = theirs.asked["input"] * 20
    first, second = (Simulator(models=[tiny_embed]) for _ in range(2))
    async with first, second, running(first, second) as gateway:
        for host in (first, second):
            await gateway.client.post(f"{host.url}/api/embed", json={"model": "tiny-embed", "input": []})
        await gateway.seen()
        first.script(Fail(path="/api/embed"))
        answer = answer_of(await gateway.client.post(theirs.path, json={**theirs.asked, "input": inputs}))

    found = [each["embedding"] for each in answer.json["data"]]
    assert [each["index"] for each in answer.json["data"]] == list(range(40))
    assert found == found[:2] * 20
    assert answer.usage["prompt_tokens"] == 20 * theirs.usage["prompt_tokens"]
    asked = [request.json["input"] for host in (first, second) for request in host.requests if request.inference]
    assert 40 < sum(map(len, asked)) < 80


# --- usage ------------------------------------------------------------------------------------------------------------


@beside("chat-nostream")
async def test_usage_has_its_details(theirs: Theirs, ours: Ours) -> None:
    assert theirs.usage.keys() == {"prompt_tokens", "completion_tokens", "total_tokens"}

    answer = await ours.answer(theirs)
    assert theirs.usage.items() < answer.usage.items()
    assert {"cached_tokens", "audio_tokens"} <= answer.usage["prompt_tokens_details"].keys()
    assert "reasoning_tokens" in answer.usage["completion_tokens_details"]


@beside("0.33/chat-nostream")
async def test_cached_tokens_are_told_where_the_host_counts_them(theirs: Theirs) -> None:
    """Hosts do from 0.33.3 on, within the count of the prompt."""
    async with Simulator(version="0.33.3", models=[tiny_chat]) as host, running(host) as gateway:
        first, again = [answer_of(await gateway.client.post(theirs.path, json=theirs.asked)) for _ in range(2)]

    assert first.usage["prompt_tokens"] == again.usage["prompt_tokens"] == theirs.usage["prompt_tokens"]
    assert first.usage["prompt_tokens_details"]["cached_tokens"] == 0
    assert again.usage["prompt_tokens_details"]["cached_tokens"] == again.usage["prompt_tokens"]


@beside("chat-nostream-repeat")
async def test_an_answer_without_counts_gets_an_estimate(theirs: Theirs, ours: Ours) -> None:
    """Ollama broke off an endless repetition, and counted nothing."""
    assert theirs.usage == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert theirs.choice["finish_reason"] is None

    answer = await ours.answer(theirs)
    assert answer.message["content"] == theirs.message["content"]
    assert answer.choice["finish_reason"] == "stop"
    assert answer.usage["prompt_tokens"] > 0
    assert answer.usage["completion_tokens"] > 0
    assert answer.json["ollama"]["usage_estimated"] is True


# --- models -----------------------------------------------------------------------------------------------------------


@beside("models")
async def test_models_say_what_they_can_and_where_they_are(theirs: Theirs, ours: Ours) -> None:
    assert {frozenset(model) for model in theirs.json["data"]} == {frozenset({"id", "object", "created", "owned_by"})}

    answer = await ours.answer(theirs)
    models = {model["id"]: model for model in answer.json["data"]}
    assert {model["id"] for model in theirs.json["data"]} <= models.keys()
    found = models["tiny-embed:latest"]
    assert (found["context_length"], found["capabilities"], found["hosts"]) == (64, ["embedding"], ["host"])
    assert found["size"] > 0


@beside("models-one")
@pytest.mark.parametrize("name", ["hf.co/team/model", "hf.co%2Fteam%2Fmodel", "hf.co/team/model:latest"])
async def test_a_model_of_any_name_can_be_looked_up(theirs: Theirs, ours: Ours, name: str) -> None:
    assert theirs.json["id"] == theirs.path.rpartition("/")[2]

    answer = await ours.ask("GET", f"/v1/models/{name}")
    assert (answer.status, answer.json["id"]) == (200, "hf.co/team/model:latest")


@beside("0.33/models")
async def test_no_models_are_an_empty_list(theirs: Theirs) -> None:
    async with Simulator(models=[]) as host, running(host) as gateway:
        answer = answer_of(await gateway.client.get(theirs.path))

    assert answer.json == {"object": "list", "data": []}


# --- images by URL ----------------------------------------------------------------------------------------------------


@beside("chat-content-parts-image-http")
async def test_an_image_of_the_web_is_refused_with_a_reason(theirs: Theirs, ours: Ours) -> None:
    assert (theirs.status, theirs.error["param"], theirs.error["code"]) == (400, None, None)

    answer = await ours.answer(theirs, model="tiny-vision-label")
    assert (answer.status, answer.error["code"]) == (400, "invalid_image_url")
    assert answer.error["param"] == "messages[0].content[0].image_url.url"
    assert "images.fetch" in answer.error["message"]


@beside("0.33/chat-content-parts-image-http")
async def test_an_image_of_the_web_is_fetched_where_it_may_be(theirs: Theirs) -> None:
    model = replace(tiny_chat, capabilities=("completion", "vision"))
    allowed = ImageSettings(fetch=True, allow=("127.0.0.1",))
    async with (
        serving() as web,
        Simulator(models=[model]) as host,
        running(host, images=allowed) as gateway,
    ):
        body = theirs.asked
        body["messages"][0]["content"][0]["image_url"]["url"] = web.url()
        answer = answer_of(await gateway.client.post(theirs.path, json=body))

    assert answer.status == 200
    assert web.asked == ["/cat.png"]
    assert len(chats(host)[0]["messages"][0]["images"]) == 1


# --- completions ------------------------------------------------------------------------------------------------------


@beside("completions-nostream")
async def test_a_prompt_is_gone_on_with_as_it_is(theirs: Theirs, ours: Ours) -> None:
    """Ollama counted as many tokens as for a chat of one message: it put the prompt into the chat template."""
    chat = Theirs(f"{theirs.version}/v1/chat-nostream")
    assert chat.asked["messages"] == [{"role": "user", "content": theirs.asked["prompt"]}]
    assert theirs.usage["prompt_tokens"] == chat.usage["prompt_tokens"] > len("hi")

    answer = await ours.answer(theirs)
    assert answer.usage["prompt_tokens"] == len("hi")
    assert ours.sent("/api/generate")[0]["raw"] is True
    templated = await ours.answer(theirs, raw=False)
    assert templated.usage["prompt_tokens"] == theirs.usage["prompt_tokens"]


@beside("completions-logprobs")
async def test_completions_have_log_probabilities(theirs: Theirs, ours: Ours) -> None:
    assert theirs.asked["logprobs"] == 2
    assert "logprobs" not in theirs.choice

    answer = await ours.answer(theirs, raw=False)
    logprobs = answer.choice["logprobs"]
    assert answer.choice["text"] == theirs.choice["text"]
    assert logprobs["tokens"] == ["Red", " fox", " runs"]
    assert logprobs["text_offset"] == [0, 3, 7]
    assert [list(top) for top in logprobs["top_logprobs"]] == [["Red", "Blue"], [" fox", " owl"], [" runs", " sits"]]
    assert len(logprobs["token_logprobs"]) == 3


@beside("completions-prompt-list")
async def test_several_prompts_have_their_answers(theirs: Theirs, ours: Ours) -> None:
    assert theirs.status == 400
    assert "Go struct field" in theirs.error["message"]

    assert (await ours.answer(theirs)).choice["index"] == 0
    answer = await ours.answer(theirs, prompt=["hi", "long"], n=2)
    assert [choice["index"] for choice in answer.json["choices"]] == [0, 1, 2, 3]
    assert sorted(sent["prompt"] for sent in ours.sent("/api/generate")[1:]) == ["hi", "hi", "long", "long"]


@beside("completions-no-prompt")
async def test_a_missing_prompt_is_an_error(theirs: Theirs, ours: Ours) -> None:
    assert (theirs.status, theirs.choice["finish_reason"]) == (200, "load")

    answer = await ours.answer(theirs)
    assert (answer.status, answer.error["param"]) == (400, "prompt")


@beside("completions-think", "0.33/completions-jinja-think")
async def test_thoughts_stand_beside_the_text(theirs: Theirs, ours: Ours) -> None:
    """Ollama dropped them, or left them in the text where llama-server makes the prompt."""
    assert ("<think>" in theirs.choice["text"]) == theirs.asked["model"].startswith("tiny-native")
    assert "reasoning" not in theirs.choice

    answer = await ours.answer(theirs, raw=False)
    assert answer.choice["text"].strip() == "Hi! I thought about it."
    assert answer.choice["reasoning"].strip() == "The user greets me, so I greet back."


@beside("completions-suffix-not-supported")
async def test_a_suffix_that_a_model_cannot_take_is_refused_by_its_name(theirs: Theirs, ours: Ours) -> None:
    assert theirs.error["param"] is None
    assert "registry" in theirs.error["message"]

    answer = await ours.answer(theirs)
    assert (answer.status, answer.error["param"]) == (400, "suffix")
    assert "registry" not in answer.error["message"]
    assert "tiny-chat" in answer.error["message"]


@beside("completions-stream-usage")
async def test_the_usage_of_a_streamed_completion_comes_once(theirs: Theirs, ours: Ours) -> None:
    *before, last = theirs.chunks
    assert {chunk["usage"]["total_tokens"] for chunk in before} == {0}

    *before, last = (await ours.answer(theirs, raw=False)).chunks
    assert {chunk["usage"] for chunk in before} == {None}
    assert last["usage"]["total_tokens"] == theirs.chunks[-1]["usage"]["total_tokens"]


# --- what is not served -----------------------------------------------------------------------------------------------


@beside("unknown-path", "messages-count-tokens", "0.33/images-generations")
async def test_what_is_not_served_is_told_in_openais_form(theirs: Theirs, ours: Ours) -> None:
    assert (theirs.status, theirs.text) == (404, "404 page not found")

    judge_unknown(await ours.answer(theirs), theirs.path)


@beside("0.33/responses-previous-response-id")
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/messages", "/v1/rerank", "/v1/tokenize"])
async def test_what_would_be_lost_is_not_accepted(theirs: Theirs, ours: Ours, path: str) -> None:
    """Ollama answered as if there were no response before."""
    assert (theirs.status, theirs.json["previous_response_id"]) == (200, None)

    judge_unknown(await ours.ask("POST", path, theirs.asked), path)


def judge_unknown(answer: Answer, path: str) -> Any:
    assert (answer.status, answer.error["code"]) == (404, "unknown_url")
    assert f"Unknown request URL: POST {path}." in answer.error["message"]
