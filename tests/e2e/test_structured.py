"""Answers in a form: `response_format`, and objects of the caller's own classes."""

from __future__ import annotations

import asyncio
import json
from enum import Enum
from typing import Any, Literal

import openai
import pytest
from msgspec.structs import replace
from pydantic import BaseModel

from gateway.simulator import Prompt, Simulator, Token, tokens_of
from tests.conformance.rows import CHAT, shows
from tests.e2e.calling import WAYS, Caller, calling, said
from tests.e2e.cast import SAID
from tests.e2e.conftest import Ask, Host
from tests.gateway.simulator.tiny import tiny_chat
from tests.running import chats

pytestmark = pytest.mark.asyncio(loop_scope="package")


class Report(BaseModel):
    city: str
    temp: int
    ok: bool


def report(host: Host, city: str, temp: int, ok: bool) -> Report:
    """Return the report that a model makes by itself, where the host lets it.

    llama-server makes the properties come in alphabetical order (wire.md 1.4), which this model does not follow: there it
    is held to the form word for word.
    """
    return Report(city=SAID, temp=1, ok=True) if host.native else Report(city=city, temp=temp, ok=ok)


class Mode(Enum):
    TRAIN = "train"
    BOAT = "boat"


class Stop(BaseModel):
    place: str
    nights: int | None
    by: Mode


class Trip(BaseModel):
    kind: Literal["short", "long"]
    stops: list[Stop]
    back: Stop


async def parse(caller: Caller, way: str, **asked: Any) -> Any:
    """Return what the SDK makes of an answer, in each of its ways to parse one."""
    client = caller.client.chat.completions
    sync: Any = caller.sync.chat.completions

    def in_a_thread() -> Any:
        with sync.stream(**asked) as stream:
            return stream.get_final_completion()

    match way:
        case "sync":
            return await asyncio.to_thread(sync.parse, **asked)
        case "sync, streamed":
            return await asyncio.to_thread(in_a_thread)
        case "async":
            return await client.parse(**asked)
        case _:
            async with client.stream(**asked) as stream:
                return await stream.get_final_completion()


@shows(CHAT, "honoured", "response_format.json_schema.schema")
@pytest.mark.parametrize("way", WAYS)
async def test_an_answer_as_an_object(caller: Caller, host: Host, way: str) -> None:
    completion = await parse(caller, way, model=host.model("chat"), messages=said("json"), response_format=Report)

    assert completion.choices[0].message.parsed == report(host, "Paris", 21, ok=True)
    sent = host.chats[0]["format"]
    assert sent["properties"] == Report.model_json_schema()["properties"]
    assert sent["required"] == ["city", "temp", "ok"]


@pytest.mark.parametrize("way", WAYS)
async def test_an_answer_as_nested_objects(caller: Caller, host: Host, way: str) -> None:
    """The model does not say it by itself: the schema, with its references, holds it to this form."""
    completion = await parse(caller, way, model=host.model("chat"), messages=said("hi"), response_format=Trip)

    assert isinstance(completion.choices[0].message.parsed, Trip)


@pytest.mark.parametrize("way", WAYS)
async def test_an_answer_as_an_object_after_thinking(caller: Caller, host: Host, way: str) -> None:
    completion = await parse(caller, way, model=host.model("think"), messages=said("json"), response_format=Report)

    message = completion.choices[0].message
    assert message.reasoning.strip() == "JSON is wanted."
    # Ollama runs the model a second time after its thoughts (wire.md 1.5), and this one then speaks of Paris.
    assert message.parsed == report(host, "Paris", 21, ok=True)


@shows(CHAT, "honoured", "response_format.type: json_object")
async def test_any_json(ask: Ask, host: Host) -> None:
    said_by_itself = await ask("chat", "json", response_format={"type": "json_object"})
    held = await ask("chat", "hi", response_format={"type": "json_object"})

    assert json.loads(said_by_itself.choices[0].message.content or "") == {"city": "Paris", "temp": 21, "ok": True}
    assert isinstance(json.loads(held.choices[0].message.content or ""), dict)
    assert [chat["format"] for chat in host.chats] == ["json", "json"]


@shows(CHAT, "emulated", "response_format.json_schema.strict", remark="the answer is checked, and asked for once more")
async def test_a_strict_form_that_a_host_did_not_hold_the_model_to_is_asked_for_once_more() -> None:
    def speak(prompt: Prompt) -> tuple[Token, ...]:
        told = "does not follow the JSON schema" in prompt.question
        return tokens_of('{"city": "Paris", "temp": 21, "ok": true}' if told else '{"city": "Paris"}')

    model = replace(tiny_chat, name="loose", speak=speak, constrained=False)
    async with Simulator(models=[model]) as host, calling(host) as caller:
        completion = await parse(caller, "async", model="loose", messages=said("hi"), response_format=Report)

        assert len(chats(host)) == 2
    assert completion.choices[0].message.parsed == Report(city="Paris", temp=21, ok=True)


@shows(CHAT, "honoured", "response_format.type: text")
async def test_text_is_no_form(ask: Ask, host: Host) -> None:
    await ask("chat", response_format={"type": "text"})

    assert "format" not in host.chats[0]


@pytest.mark.parametrize("way", WAYS)
async def test_an_object_that_was_cut_is_the_sdks_length_error(caller: Caller, host: Host, way: str) -> None:
    with pytest.raises(openai.LengthFinishReasonError) as caught:
        await parse(
            caller,
            way,
            model=host.model("chat"),
            messages=said("json"),
            response_format=Report,
            max_completion_tokens=4,
        )

    assert (caught.value.completion.choices[0].message.content or "").startswith('{"')
