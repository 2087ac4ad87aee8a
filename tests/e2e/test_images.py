"""Images as data URLs."""

from __future__ import annotations

import base64
from typing import Any

import openai
import pytest

from tests.conformance.rows import CHAT, shows
from tests.e2e.calling import Caller
from tests.e2e.conftest import Ask, Host

pytestmark = pytest.mark.asyncio(loop_scope="package")

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(250, 256)) * 5  # its base64 has letters that differ in URLs
WAV = b"RIFF\x00\x00\x00\x00WAVEfmt "
STANDARD = base64.b64encode(PNG).decode()


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, "detail": "low"}}


def showing(*images: dict[str, Any]) -> list[Any]:
    return [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, *images]}]


@shows(CHAT, "honoured", "messages[].content[].image_url.url", remark="a `data:` URL")
@pytest.mark.parametrize(
    "url",
    [
        f"data:image/png;base64,{STANDARD}",
        f"data:;base64,{STANDARD}",
        f"data:image/png;base64,{base64.urlsafe_b64encode(PNG).decode().rstrip('=')}",
    ],
    ids=["as usual", "without a type", "URL-safe, unpadded"],
)
async def test_an_image_reaches_the_host_as_bare_base64(ask: Ask, host: Host, url: str) -> None:
    completion = await ask("see", showing(image(url)))

    assert completion.choices[0].message.content
    assert host.chats[0]["messages"] == [{"role": "user", "content": "What is this?", "images": [STANDARD]}]


async def test_images_keep_their_order(ask: Ask, host: Host) -> None:
    images = [PNG + bytes([number]) for number in range(3)]
    await ask("see", showing(*(image(f"data:image/png;base64,{base64.b64encode(each).decode()}") for each in images)))

    [message] = host.chats[0]["messages"]
    assert [base64.b64decode(sent) for sent in message["images"]] == images


async def test_a_sound_that_cannot_be_heard_is_refused(ask: Ask, host: Host) -> None:
    sound = {"type": "input_audio", "input_audio": {"data": base64.b64encode(WAV).decode(), "format": "wav"}}
    with pytest.raises(openai.BadRequestError) as caught:
        await ask("see", showing(sound))

    assert (caught.value.param, caught.value.code) == ("messages[0].content", "unsupported_value")
    assert host.chats == []


@pytest.mark.parametrize(
    ("model", "url", "param", "code"),
    [
        ("chat", f"data:image/png;base64,{STANDARD}", "messages[0].content", "unsupported_value"),
        ("see", "https://example.com/a.png", "messages[0].content[1].image_url.url", "invalid_image_url"),
        ("see", "data:image/png;base64,???", "messages[0].content[1].image_url.url", "invalid_base64_image"),
        ("see", "data:text/plain;base64,aGVsbG8=", "messages[0].content[1].image_url.url", "invalid_image"),
    ],
    ids=["model that does not see", "from the web", "no base64", "no image"],
)
async def test_an_image_that_cannot_be_seen_is_refused(
    ask: Ask, host: Host, caller: Caller, model: str, url: str, param: str, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await ask(model, showing(image(url)))

    assert (caught.value.param, caught.value.code) == (param, code)
    assert len(caller.answers) == 1
    assert host.chats == []
