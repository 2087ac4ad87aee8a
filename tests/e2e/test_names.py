"""Models by their names: those that hosts have, aliases, and lists of them."""

from __future__ import annotations

import asyncio

import openai
import pytest
from msgspec.structs import replace

from gateway.config import ModelSettings
from gateway.simulator import Simulator
from tests.conformance.rows import CHAT, MODEL, MODELS, shows
from tests.e2e.calling import Caller, calling, said
from tests.e2e.cast import KINDS, SAID
from tests.e2e.conftest import Ask, Host
from tests.gateway.simulator.tiny import tiny_chat

NAMES = [f"{model}:{kind}" for kind in KINDS for model in ("chat", "think", "plain", "see")]


@shows(CHAT, "honoured", "model")
@pytest.mark.asyncio(loop_scope="package")
@pytest.mark.parametrize("name", ["chat:{}", "CHAT:{}", "gpt-4o-mini-{}"])
async def test_an_answer_repeats_the_name_that_was_asked_for(caller: Caller, host: Host, way: str, name: str) -> None:
    asked = name.format(host.kind)
    completion = await caller.ask(way, model=asked, messages=said("hi"))

    assert completion.model == asked
    assert completion.choices[0].message.content == SAID
    assert [chat["model"] for chat in host.chats] == [host.model("chat")]
    assert caller.answers[0].headers["x-gateway-host"] == host.name


@shows(MODELS, "honoured", "")
@pytest.mark.asyncio(loop_scope="package")
async def test_the_list_of_models(caller: Caller) -> None:
    listed = {model.id: model async for model in caller.client.models.list()}
    in_a_thread = await asyncio.to_thread(lambda: [model.id for model in caller.sync.models.list()])

    assert sorted(listed) == sorted(in_a_thread) == sorted([*NAMES, *(f"gpt-4o-mini-{kind}" for kind in KINDS)])
    assert {model.object for model in listed.values()} == {"model"}
    assert all(model.created > 0 and model.owned_by for model in listed.values())
    assert {getattr(model, "context_length", None) for model in listed.values()} == {tiny_chat.context_length}


@shows(MODEL, "honoured", "model")
@pytest.mark.asyncio(loop_scope="package")
async def test_every_model_of_the_list_can_be_retrieved_and_asked(caller: Caller) -> None:
    for model in [model async for model in caller.client.models.list()]:
        assert await caller.client.models.retrieve(model.id) == model
        completion = await caller.ask("async", model=model.id, messages=said("hi"))
        assert completion.model == model.id


@pytest.mark.asyncio(loop_scope="package")
async def test_an_unknown_model_is_not_found_and_the_nearest_is_named(ask: Ask, caller: Caller, host: Host) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await ask("chta")
    with pytest.raises(openai.NotFoundError) as of_one:
        await caller.client.models.retrieve("nobody/has/this")

    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert host.model("chta") in caught.value.message
    assert host.model("chat") in caught.value.message
    assert of_one.value.code == "model_not_found"
    assert len(caller.answers) == 2


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("hf.co/unsloth/Qwen3-GGUF:Q4_K_M", "hf.co/unsloth/Qwen3-GGUF:Q4_K_M"),
        ("team/chat:v1", "team/chat:v1"),
        ("chat:latest", "chat"),
        ("chat", "chat:latest"),
        ("chat", "Chat"),
    ],
)
async def test_names_with_slashes_tags_and_any_case(name: str, asked: str) -> None:
    async with Simulator(models=[replace(tiny_chat, name=name)]) as host, calling(host) as caller:
        model = await caller.client.models.retrieve(asked)
        completion = await caller.ask("async", model=asked, messages=said("hi"))

    assert model.id.removesuffix(":latest").lower() == asked.removesuffix(":latest").lower()
    assert completion.model == asked


async def test_a_model_of_two_hosts_is_listed_once_and_asked_of_both() -> None:
    shared = replace(tiny_chat, name="chat")
    async with (
        Simulator(models=[shared], version="0.24.0", parallel=1, token_seconds=0.01) as old,
        Simulator(models=[shared], version="0.33.0", parallel=1, token_seconds=0.01) as new,
        calling(old, new) as caller,
    ):
        listed = [model.id async for model in caller.client.models.list()]
        asked = [caller.ask("async, streamed", model="chat", messages=said("hi")) for _ in range(2)]
        completions = await asyncio.gather(*asked)
        hosts = {answer.headers.get("x-gateway-host") for answer in caller.answers[1:]}

    assert [name.removesuffix(":latest") for name in listed] == ["chat"]
    assert hosts == {"host-0", "host-1"}
    assert {completion.choices[0].message.content for completion in completions} == {SAID}


async def test_what_the_configuration_says_of_a_model_holds_for_its_alias() -> None:
    settings = ModelSettings(aliases=("gpt-4o",), options={"num_ctx": 2048, "temperature": 0.3}, keep_alive="30m")
    async with (
        Simulator(models=[replace(tiny_chat, name="chat")]) as host,
        calling(host, models={"chat": settings}) as caller,
    ):
        await caller.client.chat.completions.create(model="gpt-4o", messages=said("hi"), temperature=0.9)

        [request] = [request.json for request in host.requests if request.path == "/api/chat"]
    assert request["options"] == {"num_ctx": 2048, "temperature": 0.9}
    assert request["keep_alive"] == "30m"
    assert request["model"] == "chat:latest"
