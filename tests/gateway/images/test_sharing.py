"""One fetch for all who want an image at one time."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from adapters.errors import InvalidRequest, Stopping
from adapters.types import Media
from gateway.config import ImageSettings
from gateway.images.cache import LIFETIME, Cache
from gateway.images.fetching import Fetcher
from gateway.images.sharing import Sharing
from tests.gateway.hop.servers import Peer
from tests.gateway.images.web import PNG, Web, ok, serving
from tests.running import eventually

IMAGE = Media("image", b64encode(PNG).decode())


class Gate:
    """A page that is not sent before it is open."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._open = asyncio.Event()

    async def __call__(self, peer: Peer) -> None:
        await self._open.wait()
        await peer.send(self._answer)

    def open(self) -> None:
        self._open.set()


@asynccontextmanager
async def sharing(cache: Cache | None = None) -> AsyncIterator[Sharing]:
    shared = Sharing(Fetcher(ImageSettings(fetch=True, allow=("127.0.0.1",))), cache or Cache())
    try:
        yield shared
    finally:
        await shared.close()


async def asking(shared: Sharing, web: Web, url: str, count: int) -> list[asyncio.Task[Media]]:
    """Ask for an image so many times, and wait until the server is asked."""
    tasks = [asyncio.create_task(shared.get(url)) for _ in range(count)]
    await eventually(lambda: web.requests)
    return tasks


async def test_an_image_is_fetched_once_and_then_kept():
    async with serving() as web, sharing() as shared:
        first = await shared.get(web.url())

        assert first == IMAGE
        assert await shared.get(web.url()) is first
        assert web.asked == ["/cat.png"]


async def test_an_image_that_is_too_old_is_fetched_again():
    now = [0.0]
    async with serving() as web, sharing(Cache(lambda: now[0])) as shared:
        await shared.get(web.url())
        now[0] = LIFETIME
        assert await shared.get(web.url()) == IMAGE

    assert web.asked == ["/cat.png"] * 2


async def test_an_image_that_many_want_at_once_is_fetched_once():
    async with serving() as web, sharing() as shared:
        web.pages["/cat.png"] = gate = Gate(ok(PNG))
        tasks = await asking(shared, web, web.url(), 10)
        gate.open()

        assert await asyncio.gather(*tasks) == [IMAGE] * 10
    assert web.connections == 1


async def test_different_urls_are_fetched_side_by_side():
    async with serving() as web, sharing() as shared:
        gates = [Gate(ok(PNG + bytes([number]))) for number in range(3)]
        web.pages.update({f"/{number}": gate for number, gate in enumerate(gates)})
        tasks = [asyncio.create_task(shared.get(web.url(f"/{number}"))) for number in range(3)]
        await eventually(lambda: len(web.requests) == 3)
        for gate in reversed(gates):
            gate.open()

        assert len({image.data for image in await asyncio.gather(*tasks)}) == 3


@pytest.mark.parametrize(
    ("page", "code"),
    [
        (ok(b"<html>"), "invalid_image"),
        (ok(b""), "empty_image_file"),
        (ok(b"RIFF\x24\x00\x00\x00WAVEfmt "), "invalid_image"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "invalid_image_url"),
    ],
    ids=["a page", "nothing", "a sound", "not found"],
)
async def test_a_failure_is_everybodys_and_not_kept(page, code):
    async with serving() as web, sharing() as shared:
        web.pages["/cat.png"] = gate = Gate(page)
        tasks = await asking(shared, web, web.url(), 3)
        gate.open()
        failures = await asyncio.gather(*tasks, return_exceptions=True)

        assert [isinstance(failure, InvalidRequest) and failure.code for failure in failures] == [code] * 3

        web.pages["/cat.png"] = ok(PNG)
        assert await shared.get(web.url()) == IMAGE


@pytest.mark.parametrize("leaver", [0, 1, 2])
async def test_one_who_leaves_takes_the_image_from_nobody(leaver):
    async with serving() as web, sharing() as shared:
        web.pages["/cat.png"] = gate = Gate(ok(PNG))
        tasks = await asking(shared, web, web.url(), 3)
        tasks[leaver].cancel()
        await asyncio.wait([tasks[leaver]])
        gate.open()
        ends = await asyncio.gather(*tasks, return_exceptions=True)

        assert isinstance(ends.pop(leaver), asyncio.CancelledError)
        assert ends == [IMAGE] * 2
    assert web.connections == 1


async def test_a_fetch_ends_when_all_have_left_and_the_next_begins_anew():
    async with serving() as web, sharing() as shared:
        web.pages["/cat.png"] = Peer.closed
        tasks = await asking(shared, web, web.url(), 3)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        web.pages["/cat.png"] = ok(PNG)
        assert await shared.get(web.url()) == IMAGE
        await eventually(lambda: not web.open)

    assert web.connections == 2


async def test_who_asks_while_the_last_one_leaves_gets_the_image():
    async with serving() as web, sharing() as shared:
        web.pages["/cat.png"] = gate = Gate(ok(PNG))
        [leaver] = await asking(shared, web, web.url(), 1)
        leaver.cancel()
        late = asyncio.create_task(shared.get(web.url()))
        gate.open()

        assert await late == IMAGE


async def test_to_close_ends_every_fetch():
    async with serving() as web:
        async with sharing() as shared:
            web.pages["/cat.png"] = Peer.closed
            tasks = await asking(shared, web, web.url(), 2)
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        await eventually(lambda: not web.open)

        with pytest.raises(Stopping):
            await shared.get(web.url())

    assert [type(end) for end in ends] == [Stopping] * 2
    assert web.connections == 1
