"""What a conversation is made of: every role, and every field and part of a message."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.simulator import Simulator
from tests.conformance.rows import CHAT, NOT_NAMED, shows
from tests.e2e.calling import calling, said
from tests.e2e.conftest import Ask, Host
from tests.e2e.test_images import STANDARD, WAV, image, showing
from tests.gateway.simulator.tiny import tiny_chat
from tests.running import chats

pytestmark = pytest.mark.asyncio(loop_scope="package")

CONTENT = "messages[].content[]"


@pytest.mark.parametrize(
    ("role", "sent"),
    [
        pytest.param("system", "system", marks=shows(CHAT, "honoured", "messages[].role: system")),
        pytest.param(
            "developer", "system", marks=shows(CHAT, "honoured", "messages[].role: developer", remark="as `system`")
        ),
        pytest.param("user", "user", marks=shows(CHAT, "honoured", "messages[].role: user")),
        pytest.param("assistant", "assistant", marks=shows(CHAT, "honoured", "messages[].role: assistant")),
    ],
)
@shows(CHAT, "honoured", "messages[].content")
async def test_what_someone_said(ask: Ask, host: Host, role: str, sent: str) -> None:
    await ask("chat", [{"role": role, "content": "Be brief."}, *said("hi")])

    assert host.chats[0]["messages"] == [{"role": sent, "content": "Be brief."}, *said("hi")]


@shows(CHAT, "honoured", f"{CONTENT}.text")
async def test_the_texts_of_a_message_stay_one_message(ask: Ask, host: Host) -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    await ask("chat", [{"role": "user", "content": parts}])

    assert host.chats[0]["messages"] == said("one\ntwo")


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({"refusal": "No."}, marks=shows(CHAT, "honoured", "messages[].refusal", remark="as text")),
        pytest.param(
            {"content": [{"type": "refusal", "refusal": "No."}]},
            marks=shows(CHAT, "honoured", f"{CONTENT}.refusal", remark="as text"),
        ),
    ],
)
async def test_a_refusal_is_what_the_assistant_said(ask: Ask, host: Host, message: dict[str, Any]) -> None:
    await ask("chat", [*said("hi"), {"role": "assistant", **message}, *said("and?")])

    assert host.chats[0]["messages"] == [*said("hi"), {"role": "assistant", "content": "No."}, *said("and?")]


BREAKPOINT = {"mode": "explicit", "ttl": "30m"}


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(
            {"role": "user", "content": "hi", "name": "Ada"},
            marks=shows(CHAT, "accepted without effect", "messages[].name", remark="of others"),
        ),
        pytest.param(
            {"role": "assistant", "content": "hi", "audio": {"id": "audio_1"}},
            marks=shows(CHAT, "accepted without effect", "messages[].audio"),
        ),
        pytest.param(
            {"role": "user", "content": [{"type": "text", "text": "hi", "prompt_cache_breakpoint": BREAKPOINT}]},
            marks=shows(CHAT, "accepted without effect", f"{CONTENT}.prompt_cache_breakpoint"),
        ),
    ],
)
async def test_what_a_message_says_beside_its_content(ask: Ask, host: Host, message: dict[str, Any]) -> None:
    await ask("chat", [message])

    assert host.chats[0]["messages"] == [{"role": message["role"], "content": "hi"}]


@shows(CHAT, "accepted without effect", f"{CONTENT}.image_url.detail")
async def test_an_image_is_sent_in_full_detail(ask: Ask, host: Host) -> None:
    await ask("see", showing(image(f"data:image/png;base64,{STANDARD}")))

    assert host.chats[0]["messages"][0]["images"] == [STANDARD]


SOUND = base64.b64encode(WAV).decode()


@shows(CHAT, "honoured", f"{CONTENT}.input_audio.data")
@shows(CHAT, "accepted without effect", f"{CONTENT}.input_audio.format", remark=f"the data says it; {NOT_NAMED}")
@pytest.mark.parametrize("version", ["0.24.0", "0.33.0"])
async def test_a_sound_reaches_a_model_that_hears(version: str) -> None:
    model = replace(tiny_chat, name="hear", capabilities=("completion", "vision", "audio"))
    async with Simulator(models=[model], version=version) as host, calling(host) as caller:
        sound = {"type": "input_audio", "input_audio": {"data": SOUND, "format": "wav"}}
        await caller.ask("async", model="hear", messages=showing(sound))

        [message] = chats(host)[0]["messages"]
    assert message["images"] == [SOUND]
