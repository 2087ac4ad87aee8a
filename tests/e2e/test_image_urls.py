"""Images that a request names by URL."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
import pytest_asyncio

from gateway.config import ImageSettings
from tests.conformance.rows import CHAT, shows
from tests.e2e.calling import WAYS
from tests.e2e.conftest import Fleet, serving
from tests.gateway.hop.servers import Peer
from tests.gateway.images.web import PNG, Web, ok, redirect
from tests.gateway.images.web import serving as serving_web
from tests.running import chats, eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")

MODEL = "see:0.33"
STANDARD = base64.b64encode(PNG).decode()
FIELD = "messages[0].content[1].image_url.url"
URL = "messages[].content[].image_url.url"


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def served() -> AsyncIterator[Fleet]:
    """A gateway that fetches images from the internet, and from this machine when it is called localhost."""
    async with serving(images=ImageSettings(fetch=True, allow=("public", "localhost"))) as fleet:
        yield fleet


@pytest_asyncio.fixture(loop_scope="package")
async def web() -> AsyncIterator[Web]:
    async with serving_web() as web:
        yield web


def showing(*urls: str) -> list[Any]:
    images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, *images]}]


def cat(web: Web) -> str:
    """Return the URL of an image, by the name that is allowed."""
    return web.url(name="localhost")


async def refused(fleet: Fleet, url: str) -> tuple[str | None, str | None]:
    """Return param and code of the failure, which the SDK does not try to mend, and of which no host hears."""
    with pytest.raises(openai.BadRequestError) as caught:
        await fleet.caller.ask("async", model=MODEL, messages=showing(url))
    assert len(fleet.caller.answers) == 1
    assert chats(fleet.new) == []
    return caught.value.param, caught.value.code


@shows(CHAT, "emulated", URL, remark="http(s), where the configuration allows it")
@pytest.mark.parametrize("way", WAYS)
async def test_an_image_by_url_reaches_the_host_as_the_image_itself(fleet: Fleet, web: Web, way: str) -> None:
    completion = await fleet.caller.ask(way, model=MODEL, messages=showing(cat(web)))

    assert completion.choices[0].message.content
    [chat] = chats(fleet.new)
    assert chat["messages"] == [{"role": "user", "content": "What is this?", "images": [STANDARD]}]
    assert web.asked == ["/cat.png"]


async def test_a_conversation_shows_an_image_again_without_another_fetch(fleet: Fleet, web: Web) -> None:
    messages = [*showing(cat(web), cat(web)), {"role": "assistant", "content": "A cat."}, *showing(cat(web))]
    await fleet.caller.ask("async", model=MODEL, messages=messages[:1])
    await fleet.caller.ask("async", model=MODEL, messages=messages)

    chat = chats(fleet.new)[1]
    assert [message.get("images") for message in chat["messages"]] == [[STANDARD] * 2, None, [STANDARD]]
    assert web.asked == ["/cat.png"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:PORT/cat.png",
        "http://2130706433:PORT/cat.png",
        "http://017700000001:PORT/cat.png",
        "http://0177.0.0.1:PORT/cat.png",
        "http://0x7f.1:PORT/cat.png",
        "http://0.0.0.0:PORT/cat.png",
        "http://[::1]:PORT/cat.png",
        "http://[::ffff:127.0.0.1]:PORT/cat.png",
        "http://localhost@127.0.0.1:PORT/cat.png",
        "http://169.254.169.254/latest/meta-data/",
    ],
)
async def test_neither_a_url_nor_a_redirect_leads_where_it_is_not_allowed(fleet: Fleet, web: Web, url: str) -> None:
    target = url.replace("PORT", str(web.port))
    assert await refused(fleet, target) == (FIELD, "invalid_image_url")
    assert web.asked == []

    fleet.caller.answers.clear()
    web.pages["/away"] = redirect(target)
    assert await refused(fleet, web.url("/away", name="localhost")) == (FIELD, "invalid_image_url")
    assert web.asked == ["/away"]


@pytest.mark.parametrize(
    ("page", "code"),
    [
        (ok(b"<html>a page</html>", b"content-type: image/png"), "invalid_image"),
        (ok(b""), "empty_image_file"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "invalid_image_url"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n", "invalid_image_url"),
        (b"\0\0\0", "invalid_image_url"),
    ],
    ids=["a page", "nothing", "not found", "too large", "no HTTP"],
)
async def test_what_is_no_image_is_refused(fleet: Fleet, web: Web, page: bytes, code: str) -> None:
    async def answer(peer: Peer) -> None:
        await peer.send(page)

    web.pages["/cat.png"] = answer
    assert await refused(fleet, cat(web)) == (FIELD, code)


async def test_a_caller_who_leaves_ends_the_fetch(fleet: Fleet, web: Web) -> None:
    web.pages["/cat.png"] = Peer.closed
    asking = asyncio.create_task(fleet.caller.ask("async", model=MODEL, messages=showing(cat(web))))
    await eventually(lambda: web.requests)
    asking.cancel()
    await asyncio.wait([asking])
    await eventually(lambda: not web.open)

    assert chats(fleet.new) == []


@shows(CHAT, "refused", URL, remark="http(s), unless the configuration allows it")
async def test_a_gateway_fetches_nothing_unless_told_to(web: Web) -> None:
    async with serving() as fleet:
        assert await refused(fleet, cat(web)) == (FIELD, "invalid_image_url")

    assert web.connections == 0


@pytest.mark.parametrize(("model", "status"), [("plain:0.33", 400), ("nobody", 404)])
async def test_nothing_is_fetched_for_a_model_that_is_not_there_or_does_not_see(
    fleet: Fleet, web: Web, model: str, status: int
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        await fleet.caller.ask("async", model=model, messages=showing(cat(web)))

    assert caught.value.status_code == status
    assert caught.value.param in ("messages[0].content", "model")
    assert web.asked == []
