"""What recordings do not show of `/api/chat`, `/api/generate` and `/api/embed`: custom models, versions, corner cases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.simulator import Prompt, SimulatedModel, Simulator, Token, says
from tests.gateway.simulator.client import Received, ask, chat
from tests.gateway.simulator.tiny import tiny_chat, tiny_harmony, tiny_native_think, tiny_think

WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


class Listener:
    """A model that keeps what it was asked, and says the same every time."""

    def __init__(self, text: str = "ok") -> None:
        self.prompts: list[Prompt] = []
        self._text = text

    def __call__(self, prompt: Prompt) -> Iterator[Token]:
        self.prompts.append(prompt)
        yield Token(self._text.encode())


async def generate(simulator: Simulator, **fields: Any) -> Received:
    return await ask(simulator.url, "POST", "/api/generate", {"model": "m", "stream": False, **fields})


# --- what a model is given --------------------------------------------------------------------------------------------


async def test_a_model_sees_the_conversation_the_tools_and_the_options() -> None:
    model = Listener()
    capabilities = ("completion", "tools", "thinking")
    async with Simulator(models=[SimulatedModel(name="m", speak=model, capabilities=capabilities)]) as simulator:
        await chat(simulator.url, "hi", model="m", tools=[WEATHER], think="low", options={"seed": 7, "top_k": 1})
    prompt = model.prompts[0]
    assert (prompt.question, prompt.tools[0].name, prompt.think) == ("hi", "get_weather", "low")
    assert (prompt.options["seed"], prompt.options["top_k"], prompt.options["temperature"]) == (7, 1, 0.8)
    assert prompt.text.endswith("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n")


async def test_the_prompt_itself_is_the_question_where_there_is_no_conversation() -> None:
    assert Prompt(text="once upon a time").question == "once upon a time"


@pytest.mark.parametrize(
    ("path", "messages", "text"),
    [
        (
            "rendered",
            [("user", "a"), ("user", "b"), ("system", "s"), ("critic", "c"), ("tool", "1"), ("tool", "2")],
            "[system]s[user]a\n\nb[tool]1[tool]2[assistant]",
        ),
        (
            "native",
            [("user", "a"), ("user", "b"), ("system", "s"), ("critic", "c")],
            "[user]a[user]b[system]s[critic]c[assistant]",
        ),
        ("rendered", [("user", "a"), ("assistant", "b")], "[user]a[assistant]b"),
        ("native", [("user", "a"), ("assistant", "b")], "[user]a[assistant]b"),
    ],
)
async def test_each_path_renders_in_its_way(path: Any, messages: list[tuple[str, str]], text: str) -> None:
    async with Simulator(models=[SimulatedModel(name="m", path=path)]) as simulator:
        body = {
            "model": "m",
            "_debug_render_only": True,
            "messages": [{"role": role, "content": content} for role, content in messages],
        }
        received = await ask(simulator.url, "POST", "/api/chat", body)
    rendered = received.json["_debug_info"]["rendered_template"]
    assert rendered.replace("<|im_start|>", "[").replace("<|im_end|>\n", "").replace("\n", "]", 0) == _marked(text)


def _marked(text: str) -> str:
    return text.replace("[assistant]", "[assistant\n").replace("]", "\n")


async def test_a_modelfiles_system_text_comes_first_unless_the_request_has_one() -> None:
    model = Listener()
    async with Simulator(models=[SimulatedModel(name="m", speak=model, system="Be kind.")]) as simulator:
        await chat(simulator.url, model="m")
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
        await ask(simulator.url, "POST", "/api/chat", {"model": "m", "messages": messages})
    assert [prompt.messages[0].content for prompt in model.prompts] == ["Be kind.", "Be brief."]


async def test_old_messages_make_room_and_system_texts_stay() -> None:
    model = Listener()
    turns = [{"role": "user", "content": f"number {number}"} for number in range(30)]
    body = {"model": "m", "messages": [{"role": "system", "content": "Be kind."}, *turns], "options": {"num_ctx": 64}}
    async with Simulator(models=[SimulatedModel(name="m", speak=model, path="native")]) as simulator:
        await ask(simulator.url, "POST", "/api/chat", body)
    kept = [message.content for message in model.prompts[0].messages]
    assert kept[0] == "Be kind."
    assert kept[-1] == "number 29"
    assert 2 < len(kept) < 31


# --- what comes back --------------------------------------------------------------------------------------------------


async def test_the_model_is_named_as_it_was_asked_for() -> None:
    async with Simulator(models=[SimulatedModel(name="m:8b", speak=says("ok"))]) as simulator:
        for name in ("m:8b", "M:8B", "library/m:8b", "m:8b:local"):
            assert (await chat(simulator.url, model=name, stream=False)).json["model"] == name
        assert (await chat(simulator.url, model="m")).status == 404


async def test_signs_of_markup_are_escaped_in_every_line() -> None:
    async with Simulator(models=[SimulatedModel(name="m", speak=says("<b> & \u2028"))]) as simulator:
        received = await chat(simulator.url, model="m")
    assert b"\\u003c" in received.body
    assert b"\\u0026" in received.body
    assert b"\\u2028" in received.body
    assert b"<" not in received.body


async def test_a_long_body_goes_in_chunks_and_a_short_one_has_a_length() -> None:
    async with Simulator(models=[SimulatedModel(name="m", speak=says(" ".join(map(str, range(600)))))]) as simulator:
        long = await chat(simulator.url, model="m", stream=False)
        short = await chat(simulator.url, model="m", stream=False, options={"num_predict": 1})
    assert (long.header("Transfer-Encoding"), long.header("Content-Length")) == ("chunked", None)
    assert short.header("Content-Length") == str(len(short.body))


@pytest.mark.parametrize("stream", [True, False])
async def test_calls_come_one_frame_each_where_ollama_renders_and_together_where_it_does_not(stream: bool) -> None:
    text = "".join(
        f'<tool_call>{{"name": "get_weather", "arguments": {{"city": "{city}"}}}}</tool_call>' for city in "ab"
    )
    settings: dict[str, Any] = {"speak": says(text), "capabilities": ("completion", "tools")}
    models = [SimulatedModel(name="r", **settings), SimulatedModel(name="n", path="native", **settings)]
    async with Simulator(models=models) as simulator:
        rendered = (await chat(simulator.url, model="r", tools=[WEATHER], stream=stream)).frames
        native = (await chat(simulator.url, model="n", tools=[WEATHER], stream=stream)).frames
    counts = [[len(frame["message"].get("tool_calls", ())) for frame in frames] for frames in (rendered, native)]
    assert counts == ([[1, 1, 0], [2]] if stream else [[2], [2]])
    for frames in (rendered, native):
        calls = [call for frame in frames for call in frame["message"].get("tool_calls", ())]
        assert [call["function"]["index"] for call in calls] == [0, 1]
        assert [call["function"]["arguments"] for call in calls] == [{"city": "a"}, {"city": "b"}]
        assert len({call["id"] for call in calls}) == 2
        assert frames[-1]["done_reason"] == "stop"


async def test_a_thinking_model_that_does_not_think_is_not_held_to_a_format() -> None:
    model = SimulatedModel(name="m", speak=says("plain"), capabilities=("completion", "thinking"))
    async with Simulator(models=[model]) as simulator:
        received = await chat(simulator.url, model="m", format="json", stream=False)
    assert received.json["message"]["content"] == "plain"


async def test_harmony_knows_no_max() -> None:
    model = Listener("<|channel|>final<|message|>ok")
    async with Simulator(
        models=[SimulatedModel(name="m", speak=model, harmony=True, capabilities=("completion", "thinking"))]
    ) as simulator:
        received = await chat(simulator.url, model="m", think="max", stream=False)
    assert (model.prompts[0].think, received.json["message"]["content"]) == ("high", "ok")


async def test_harmony_thinks_first_and_is_then_held_to_a_format() -> None:
    async with Simulator(models=[tiny_harmony]) as simulator:
        schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
        received = await chat(simulator.url, model="tiny-harmony", format=schema)
    thoughts = "".join(frame["message"].get("thinking", "") for frame in received.frames)
    assert thoughts == "The user says hi; answer briefly."
    content = "".join(frame["message"]["content"] for frame in received.frames)
    assert json.loads(content) == {"ok": True}


@pytest.mark.parametrize(
    ("sees", "version", "status"),
    [(True, "0.33.0", 200), (False, "0.33.0", 400), (False, "0.24.0", 200), (True, "0.24.0", 200)],
)
async def test_images_need_an_encoder_from_0_30_on(sees: bool, version: str, status: int) -> None:
    model = Listener()
    models = [SimulatedModel(name="m", speak=model, sees=sees, capabilities=("completion", "vision"))]
    body = {"model": "m", "messages": [{"role": "user", "content": "what?", "images": ["AAAA", "AAAA"]}]}
    async with Simulator(models=models, version=version) as simulator:
        received = await ask(simulator.url, "POST", "/api/chat", body)
        shown = (await ask(simulator.url, "POST", "/api/chat", {**body, "_debug_render_only": True})).json[
            "_debug_info"
        ]
    assert received.status == status
    assert "[img-0][img-1]what?" in shown["rendered_template"]
    assert shown["image_count"] == 2
    if status == 200:
        assert len(model.prompts[0].messages[0].images) == 2


async def test_a_model_that_sees_has_a_context_of_2048_at_least() -> None:
    async with Simulator(models=[SimulatedModel(name="m", capabilities=("completion", "vision"))]) as simulator:
        await chat(simulator.url, model="m", options={"num_ctx": 64})
        assert (await ask(simulator.url, "GET", "/api/ps")).json["models"][0]["context_length"] == 2048


async def test_a_character_cut_by_the_limit_is_left_out() -> None:
    async with Simulator(models=[tiny_chat]) as simulator:
        received = await chat(simulator.url, model="tiny-chat", stream=False, options={"num_predict": 7})
    assert received.json["message"]["content"] == "Hello from the tiny model: caf"
    assert received.json["eval_count"] == 7


# --- versions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "value", "status"),
    [("0.34.0", 1.0, 200), ("0.34.1", 1.0, 400), ("0.35.0", 0.5, 400), ("0.34.1", None, 200), ("0.34.1-rc1", 1.0, 400)],
)
async def test_typical_p_is_refused_from_0_34_1_on(version: str, value: float | None, status: int) -> None:
    async with Simulator(models=[tiny_chat], version=version) as simulator:
        received = await chat(simulator.url, model="tiny-chat", stream=False, options={"typical_p": value})
    assert received.status == status
    if status == 400:
        assert received.json == {"error": "typical_p is no longer supported"}


async def test_from_0_33_3_on_reused_tokens_are_counted() -> None:
    async with Simulator(models=[SimulatedModel(name="m", speak=says("ok"))], version="0.33.3") as simulator:
        first = (await chat(simulator.url, "one two", model="m", stream=False)).json
        again = (await chat(simulator.url, "one two", model="m", stream=False)).json
        other = (await chat(simulator.url, "one three", model="m", stream=False)).json
    assert (first["prompt_eval_cached_count"], again["prompt_eval_cached_count"]) == (0, again["prompt_eval_count"])
    assert 0 < other["prompt_eval_cached_count"] < other["prompt_eval_count"]


async def test_before_0_33_3_they_are_not() -> None:
    async with Simulator(models=[SimulatedModel(name="m", speak=says("ok"))], version="0.33.2") as simulator:
        assert "prompt_eval_cached_count" not in (await chat(simulator.url, model="m", stream=False)).json


async def test_a_version_that_is_none_is_an_old_one() -> None:
    async with Simulator(models=[SimulatedModel(name="m", speak=says("ok"))], version="dev") as simulator:
        assert "eval_duration" in (await chat(simulator.url, model="m", stream=False)).json
        assert (await chat(simulator.url, model="m", format={"type": "x"})).status == 500


# --- generate ---------------------------------------------------------------------------------------------------------


async def test_a_context_goes_on_with_the_conversation() -> None:
    model = Listener("café 🙂")
    async with Simulator(models=[SimulatedModel(name="m", speak=model)]) as simulator:
        first = (await generate(simulator, prompt="one")).json
        again = (await generate(simulator, prompt="two", context=[*first["context"], 10**9])).json
    assert model.prompts[1].text == model.prompts[0].text + "café 🙂" + model.prompts[0].text.replace("one", "two")
    assert len(first["context"]) == first["prompt_eval_count"] + 2  # a word and a picture
    assert again["prompt_eval_count"] == len(again["context"]) - 2


async def test_generate_renders_for_debugging_too() -> None:
    async with Simulator(models=[SimulatedModel(name="m", system="Be kind.")]) as simulator:
        received = await generate(simulator, prompt="hi", images=["AAAA"], _debug_render_only=True)
    prompt = "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\n[img-0]hi<|im_end|>\n<|im_start|>assistant\n"
    assert received.json["_debug_info"] == {"rendered_template": prompt, "image_count": 1}
    assert (received.json["response"], received.json["done"]) == ("", False)


async def test_harmony_can_call_a_tool_in_generate() -> None:
    text = '<|channel|>commentary to=functions.f<|message|>{"a":1}'
    async with Simulator(models=[SimulatedModel(name="m", speak=says(text), harmony=True)]) as simulator:
        answer = (await generate(simulator, prompt="hi")).json
    assert answer["tool_calls"][0]["function"] == {"index": 0, "name": "f", "arguments": {"a": 1}}


async def test_a_thinking_model_does_not_think_when_generate_holds_it_to_a_format() -> None:
    async with Simulator(models=[tiny_think]) as simulator:
        body = {"model": "tiny-think", "prompt": "json", "format": "json", "stream": False}
        answer = (await ask(simulator.url, "POST", "/api/generate", body)).json
    assert "thinking" not in answer
    assert json.loads(answer["response"]) == {"city": "Rome", "temp": 30, "ok": False}


async def test_log_probabilities_come_with_lines_that_say_nothing() -> None:
    async with Simulator(models=[tiny_native_think]) as simulator:
        received = await chat(simulator.url, model="tiny-native-think", logprobs=True, top_logprobs=1)
    first = received.frames[0]
    assert first["message"] == {"role": "assistant", "content": ""}
    assert first["logprobs"][0]["top_logprobs"] == [{"token": "<think", "logprob": 0, "bytes": list(b"<think")}]


# --- embed ------------------------------------------------------------------------------------------------------------

VECTORS = SimulatedModel(name="v", capabilities=("embedding",), context_length=8, embedding_length=16)


async def embed(simulator: Simulator, value: Any, **fields: Any) -> Received:
    return await ask(simulator.url, "POST", "/api/embed", {"model": "v", "input": value, **fields})


async def test_vectors_have_length_one_and_are_the_same_for_the_same_text() -> None:
    async with Simulator(models=[VECTORS]) as simulator:
        answer = (await embed(simulator, ["one", "two", "one"])).json
        old = (await ask(simulator.url, "POST", "/api/embeddings", {"model": "v", "prompt": "one"})).json
    one, two, again = answer["embeddings"]
    assert one == again != two
    assert old["embedding"] == pytest.approx(one)
    assert sum(value * value for value in two) == pytest.approx(1)
    assert answer["prompt_eval_count"] == 3


async def test_dimensions_cut_and_lengthen_again() -> None:
    async with Simulator(models=[VECTORS]) as simulator:
        (cut,) = (await embed(simulator, "one", dimensions=4)).json["embeddings"]
    assert len(cut) == 4
    assert sum(value * value for value in cut) == pytest.approx(1)


async def test_a_text_is_cut_at_the_models_context() -> None:
    async with Simulator(models=[VECTORS]) as simulator:
        answer = (await embed(simulator, "a " * 50)).json
        whole = (await embed(simulator, " a" * 8)).json
    assert (answer["prompt_eval_count"], whole["prompt_eval_count"]) == (8, 8)


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ("0.24.0", "this model does not support embeddings"),
        ("0.33.0", "This server does not support embeddings. Start it with `--embeddings`"),
    ],
)
async def test_a_chat_model_does_not_embed(version: str, text: str) -> None:
    async with Simulator(models=[tiny_chat], version=version) as simulator:
        for path, field in (("/api/embed", "input"), ("/api/embeddings", "prompt")):
            received = await ask(simulator.url, "POST", path, {"model": "tiny-chat", field: "x"})
            assert (received.status, received.json) == (501, {"error": text})
        assert simulator.resident == ["tiny-chat:latest"]  # it is loaded all the same
