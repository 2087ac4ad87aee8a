"""What becomes of a request that names images by URL."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.errors import GatewayBusy, InvalidRequest, OutOfDescriptors, Stopping
from adapters.types import ChatRequest, Media, Message
from gateway.config import ImageSettings, Settings
from gateway.images import Images
from gateway.images.images import AT_ONCE, MOST
from tests.gateway.hop.servers import Peer
from tests.gateway.images.web import PNG, ok, serving
from tests.running import eventually

SENT = Media("image", "iVBORw0KGgo=")
SOUND = Media("audio", "UklGRg==")


def fetched(data: bytes = PNG) -> Media:
    return Media("image", b64encode(data).decode())


def named(url: str, place: int = 0) -> Media:
    return Media("image", url=url, param=f"messages[0].content[{place}].image_url.url")


def chat(*media: Media) -> ChatRequest:
    return ChatRequest(model="m", messages=(Message(role="user", text="What is it?", media=media),))


@asynccontextmanager
async def fetching(*, fetch: bool = True, **settings: Any) -> AsyncIterator[Images]:
    images = Images(Settings(images=ImageSettings(fetch=fetch, allow=("127.0.0.1",)), **settings))
    try:
        yield images
    finally:
        await images.close()


async def refused(images: Images, request: ChatRequest) -> tuple[str | None, str, str]:
    """Return param, code and message of the failure."""
    with pytest.raises(InvalidRequest) as caught:
        await images.fetch(request)
    return caught.value.param, caught.value.code, caught.value.message


@pytest.mark.parametrize("fetch", [True, False])
async def test_a_request_without_urls_is_given_back_at_once(fetch):
    request = chat(SENT, SOUND)
    async with fetching(fetch=fetch) as images:
        call = images.fetch(request)
        with pytest.raises(StopIteration) as done:
            call.send(None)

    assert done.value.value is request


async def test_nothing_is_fetched_unless_the_configuration_says_so():
    async with serving() as web, fetching(fetch=False) as images:
        found = await refused(images, chat(SENT, named(web.url(), 1), named(web.url(), 2)))

    assert found == (
        "messages[0].content[1].image_url.url",
        "invalid_image_url",
        "This gateway does not fetch images. Send the image itself instead, as a data: URL with base64. "
        "Its operator can allow it: images.fetch.",
    )
    assert web.connections == 0


def test_nothing_is_fetched_by_default():
    assert not Settings().images.fetch


async def test_images_take_the_places_of_their_urls():
    async with serving() as web, fetching() as images:
        web.pages["/dog.png"] = ok(PNG + b"dog")
        dog, cat = named(web.url("/dog.png"), 1), named(web.url(), 3)
        first = Message(role="system", text="Look.")
        request = ChatRequest(
            model="m",
            messages=(
                first,
                Message(role="user", text="These.", media=(SENT, dog, SOUND, cat)),
                Message(role="tool", media=(cat,), tool_call_id="a", tool_name="f"),
            ),
            options={"seed": 1},
        )
        found = await images.fetch(request)

    assert found == ChatRequest(
        model="m",
        messages=(
            first,
            Message(role="user", text="These.", media=(SENT, fetched(PNG + b"dog"), SOUND, fetched())),
            Message(role="tool", media=(fetched(),), tool_call_id="a", tool_name="f"),
        ),
        options={"seed": 1},
    )
    assert found.messages[0] is first
    assert sorted(web.asked) == ["/cat.png", "/dog.png"]


async def test_images_of_one_request_are_fetched_side_by_side():
    both = asyncio.Barrier(2)

    async def together(peer: Peer) -> None:
        await both.wait()
        await peer.send(ok(PNG))

    async with serving() as web, fetching() as images:
        web.pages.update({"/1": together, "/2": together})
        found = await images.fetch(chat(named(web.url("/1")), named(web.url("/2"))))

    assert found.messages[0].media == (fetched(), fetched())


async def test_no_request_has_more_than_so_many_fetches_at_once():
    gate = asyncio.Event()

    async def wait(peer: Peer) -> None:
        await gate.wait()
        await peer.send(ok(PNG))

    async with serving() as web, fetching() as images:
        urls = [f"/{number}" for number in range(MOST)]
        web.pages.update(dict.fromkeys(urls, wait))
        task = asyncio.create_task(images.fetch(chat(*[named(web.url(url)) for url in urls])))
        await eventually(lambda: len(web.requests) >= AT_ONCE)
        await images.fetch(chat(named(web.url())))
        assert sorted(web.asked) == [*urls[:AT_ONCE], "/cat.png"]

        gate.set()
        assert (await task).messages[0].media == (fetched(),) * MOST


async def test_an_image_is_fetched_while_others_wait_for_many_that_are_slow():
    async with serving() as web, fetching() as images:
        urls = [f"/{number}" for number in range(3 * MOST)]
        web.pages.update(dict.fromkeys(urls, Peer.closed))
        requests = [chat(*[named(web.url(url)) for url in urls[first::3]]) for first in range(3)]
        tasks = [asyncio.create_task(images.fetch(request)) for request in requests]
        await eventually(lambda: len(web.requests) >= 3 * AT_ONCE)

        assert (await images.fetch(chat(named(web.url())))).messages[0].media == (fetched(),)
        assert not any(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_choices_of_one_request_that_fetch_at_once_cause_one_fetch_of_each_image():
    gate = asyncio.Event()

    async def wait(peer: Peer) -> None:
        await gate.wait()
        await peer.send(ok(PNG))

    async with serving() as web, fetching() as images:
        urls = [f"/{number}" for number in range(MOST)]
        web.pages.update(dict.fromkeys(urls, wait))
        request = chat(*[named(web.url(url)) for url in urls])
        tasks = [asyncio.create_task(images.fetch(request)) for _ in range(8)]
        await eventually(lambda: len(web.requests) >= AT_ONCE)
        assert web.connections == AT_ONCE

        gate.set()
        assert [found.messages[0].media for found in await asyncio.gather(*tasks)] == [(fetched(),) * MOST] * 8
        assert (await images.fetch(request)).messages[0].media == (fetched(),) * MOST
    assert (web.connections, sorted(web.asked)) == (MOST, sorted(urls))


async def test_a_choice_that_leaves_takes_the_images_from_no_other():
    gate = asyncio.Event()

    async def wait(peer: Peer) -> None:
        await gate.wait()
        await peer.send(ok(PNG))

    async with serving() as web, fetching() as images:
        urls = [f"/{number}" for number in range(2 * AT_ONCE)]
        web.pages.update(dict.fromkeys(urls, wait))
        request = chat(*[named(web.url(url)) for url in urls])
        leaver, *others = [asyncio.create_task(images.fetch(request)) for _ in range(8)]
        await eventually(lambda: len(web.requests) >= AT_ONCE)
        leaver.cancel()
        await asyncio.wait([leaver])
        gate.set()

        assert [found.messages[0].media for found in await asyncio.gather(*others)] == [(fetched(),) * len(urls)] * 7
    assert sorted(web.asked) == urls


async def test_an_image_serves_for_later_requests():
    async with serving() as web, fetching() as images:
        for _ in range(3):
            assert (await images.fetch(chat(named(web.url())))).messages[0].media == (fetched(),)

    assert web.connections == 1


@pytest.mark.parametrize(
    ("page", "code"),
    [
        (ok(b"<html>"), "invalid_image"),
        (ok(b""), "empty_image_file"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "invalid_image_url"),
    ],
)
async def test_a_failure_names_the_url_that_failed(page, code):
    async with serving() as web, fetching() as images:
        web.pages["/bad.png"] = page
        found = await refused(images, chat(named(web.url(), 0), named(web.url("/bad.png"), 1)))

    assert found[:2] == ("messages[0].content[1].image_url.url", code)


async def test_a_failure_keeps_for_the_log_what_happened():
    async with fetching() as images:
        with pytest.raises(InvalidRequest) as caught:
            await images.fetch(chat(named("http://127.0.0.2:9/a.png")))

    assert caught.value.detail == "127.0.0.2:9: 127.0.0.2 at port 9 is not among images.allow"
    assert "127" not in caught.value.message


async def test_a_failure_that_several_requests_share_names_the_field_of_each():
    gate = asyncio.Event()

    async def wait(peer: Peer) -> None:
        await gate.wait()
        await peer.send(ok(b"<html>"))

    async with serving() as web, fetching() as images:
        web.pages["/bad.png"] = wait
        tasks = [asyncio.create_task(refused(images, chat(named(web.url("/bad.png"), place)))) for place in range(3)]
        await eventually(lambda: web.requests)
        gate.set()
        found = await asyncio.gather(*tasks)

    assert [param for param, _, _ in found] == [f"messages[0].content[{place}].image_url.url" for place in range(3)]
    assert web.connections == 1


async def test_a_failure_of_one_image_ends_the_fetch_of_the_others():
    async with serving() as web, fetching() as images:
        web.pages["/slow.png"] = Peer.closed
        found = await refused(images, chat(named(web.url("/slow.png"), 0), named(web.url("/none.png"), 1)))
        await eventually(lambda: not web.open)

    assert found[0] == "messages[0].content[1].image_url.url"


async def test_a_caller_who_leaves_ends_the_fetch():
    async with serving() as web, fetching() as images:
        web.pages["/slow.png"] = Peer.closed
        task = asyncio.create_task(images.fetch(chat(named(web.url("/slow.png")))))
        await eventually(lambda: web.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: not web.open)


async def test_who_waits_for_many_images_when_fetches_end_is_told_so_and_no_other_begins():
    async with serving() as web:
        async with fetching() as images:
            urls = [f"/{number}" for number in range(MOST)]
            web.pages.update(dict.fromkeys(urls, Peer.closed))
            task = asyncio.create_task(images.fetch(chat(*[named(web.url(url)) for url in urls])))
            await eventually(lambda: len(web.requests) == AT_ONCE)
        with pytest.raises(Stopping):
            await task
        await eventually(lambda: not web.open)

    assert web.connections == AT_ONCE


@pytest.mark.parametrize("kind", [GatewayBusy, OutOfDescriptors])
async def test_a_failure_of_the_gateway_stays_one(monkeypatch, kind):
    async def fail(*_: object) -> bytes:
        raise kind("full")

    monkeypatch.setattr("gateway.images.fetching.Fetcher.fetch", fail)
    async with fetching() as images:
        with pytest.raises(kind):
            await images.fetch(chat(named("http://127.0.0.1/")))


async def test_a_request_may_name_so_many_images_and_no_more():
    async with serving() as web, fetching() as images:
        web.pages.update({f"/{number}": ok(PNG) for number in range(MOST)})
        many = [named(web.url(f"/{number}"), number) for number in range(MOST)]
        await images.fetch(chat(*many, *many))
        found = await refused(images, chat(*many, named(web.url(), MOST)))

    assert found[:2] == (f"messages[0].content[{MOST}].image_url.url", "invalid_image_url")
    assert len(web.requests) == MOST


async def test_images_weigh_as_if_they_had_been_sent():
    weight = len(fetched().data)
    async with serving() as web, fetching(max_body=2 * weight) as images:
        web.pages["/dog.png"] = ok(PNG)
        await images.fetch(chat(named(web.url()), named(web.url("/dog.png"))))
        different = await refused(
            images, chat(named(web.url()), named(web.url("/dog.png")), named(web.url("/dog.png"), 2))
        )
        same = await refused(images, chat(*[named(web.url())] * 3))

    message = f"The images of this request are larger than {2 * weight} bytes, the limit here (max_body)."
    assert different[1:] == same[1:] == ("invalid_image_url", message)
    assert same[0] == "messages[0].content[0].image_url.url"
