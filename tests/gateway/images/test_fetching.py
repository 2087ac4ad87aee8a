"""What is fetched, and within which bounds."""

from __future__ import annotations

import asyncio
import errno
import gzip

import httpx2
import pytest

from adapters.errors import GatewayBusy, InvalidRequest, OutOfDescriptors
from gateway.images import fetching as module
from gateway.images.fetching import Fetcher
from tests.gateway.hop.servers import Peer, unused
from tests.gateway.images.web import PNG, Names, fetching, ok, redirect, serving
from tests.running import eventually

SEND_IT = " Send the image itself instead, as a data: URL with base64."
UNREACHABLE = "The image cannot be fetched from its URL." + SEND_IT


async def refused(fetcher: Fetcher, url: str, detail: str = "") -> str:
    """Return what the caller is told of a URL that is not fetched; the log is told this detail."""
    with pytest.raises(InvalidRequest) as caught:
        await fetcher.fetch(url)
    assert (caught.value.code, caught.value.param) == ("invalid_image_url", None)
    assert detail in caught.value.detail
    return caught.value.message


@pytest.mark.parametrize("allow", ["images.test", "127.0.0.1", "127.0.0.0/8"])
async def test_an_image_is_fetched_from_where_it_is_allowed(allow):
    names = Names(images_test=["127.0.0.1"])
    async with serving() as web, fetching(allow, names=names) as fetcher:
        web.pages["/a%20b.png?x=1"] = ok(PNG)
        assert await fetcher.fetch(web.url("/a b.png?x=1#top", name="images.test")) == PNG

    assert web.asked == ["/a%20b.png?x=1"]


async def test_a_request_says_what_is_wanted_and_nothing_about_who_wants_it():
    async with serving() as web, fetching("127.0.0.1") as fetcher:
        web.pages["/cat.png"] = ok(PNG, b"set-cookie: seen=1")
        await fetcher.fetch(web.url())
        await fetcher.fetch(web.url())

    head = [
        b"GET /cat.png HTTP/1.1",
        b"host: 127.0.0.1:%d" % web.port,
        b"accept: image/*",
        b"accept-encoding: identity",
        b"connection: close",
        b"user-agent: ollama-gateway",
    ]
    assert web.requests == [b"\r\n".join([*head, b"", b""])] * 2
    assert web.connections == 2


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://[::1]:8080/", "[::1]:8080"),
        ("http://[2001:DB8::1]/", "[2001:db8::1]"),
        ("http://images.test:80/", "images.test"),
        ("https://images.test:443/", "images.test"),
        ("https://images.test:80/", "images.test:80"),
        ("http://bücher.example/", "xn--bcher-kva.example"),
    ],
)
def test_the_host_header_has_the_port_only_when_it_is_not_the_usual_one(url, host):
    assert module._parse(url).host == host


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed(status):
    names = Names(images_test=["127.0.0.1"], cdn_test=["127.0.0.1"])
    async with serving() as web, fetching("images.test", "cdn.test", names=names) as fetcher:
        web.pages["/old/a"] = redirect("../new/b", status)
        web.pages["/new/b"] = redirect(web.url(name="cdn.test"), status)
        assert await fetcher.fetch(web.url("/old/a", name="images.test")) == PNG

    assert web.asked == ["/old/a", "/new/b", "/cat.png"]
    assert b"host: cdn.test:%d\r\n" % web.port in web.requests[2]


async def test_as_many_redirects_as_allowed_are_followed_and_no_more():
    async with serving() as web, fetching("127.0.0.1") as fetcher:
        for step in range(6):
            web.pages[f"/{step}"] = redirect(f"/{step + 1}" if step < 5 else "/cat.png")
        assert await fetcher.fetch(web.url("/1")) == PNG
        message = await refused(fetcher, web.url("/0"))

    assert message == "The URL of the image leads through more than 5 redirects." + SEND_IT
    assert web.asked == ["/1", "/2", "/3", "/4", "/5", "/cat.png", "/0", "/1", "/2", "/3", "/4", "/5"]


@pytest.mark.parametrize("status", [201, 204, 206, 300, 302, 304, 400, 401, 403, 404, 429, 500, 503])
async def test_any_other_answer_is_no_image(status):
    async with serving() as web, fetching("127.0.0.1") as fetcher:
        web.pages["/odd"] = b"HTTP/1.1 %d Odd\r\ncontent-length: 0\r\n\r\n" % status
        message = await refused(fetcher, web.url("/odd"))

    assert message == f"The server of the image answered {status}." + SEND_IT


async def test_a_name_with_two_addresses_is_reached_by_the_one_that_answers():
    names = Names(images_test=["127.0.0.2", "127.0.0.3", "127.0.0.1"])
    async with serving() as web, fetching("images.test", names=names) as fetcher:
        assert await fetcher.fetch(web.url(name="images.test")) == PNG


async def test_only_the_first_few_addresses_of_a_name_are_tried():
    names = Names(images_test=["127.0.0.2"] * 4 + ["127.0.0.1"])
    async with serving() as web, fetching("images.test", names=names) as fetcher:
        assert await refused(fetcher, web.url(name="images.test")) == UNREACHABLE

    assert web.connections == 0


# --- TLS --------------------------------------------------------------------------------------------------------------


async def test_the_certificate_is_checked_by_the_name_although_the_address_is_called(certified, trusting):
    names = Names(images_test=["127.0.0.1"], other_test=["127.0.0.1"])
    async with (
        serving(tls=certified("images.test")) as web,
        fetching("images.test", "other.test", names=names, context=trusting) as fetcher,
    ):
        assert await fetcher.fetch(web.url(name="images.test")) == PNG
        assert await refused(fetcher, web.url(name="other.test"), "Hostname mismatch") == UNREACHABLE

    assert len(web.requests) == 1


async def test_a_certificate_may_be_for_an_address(certified, trusting):
    async with serving(tls=certified("127.0.0.1")) as web, fetching("127.0.0.1", context=trusting) as fetcher:
        assert await fetcher.fetch(web.url()) == PNG


async def test_a_certificate_of_an_unknown_authority_is_not_trusted(certified):
    names = Names(images_test=["127.0.0.1"])
    async with serving(tls=certified("images.test")) as web, fetching("images.test", names=names) as fetcher:
        message = await refused(fetcher, web.url(name="images.test"), "certificate verify failed")

    assert message == UNREACHABLE
    assert web.requests == []


async def test_a_handshake_that_is_given_up_leaves_no_connection_open():
    async with serving() as web, fetching("127.0.0.1") as fetcher:
        web.answer = Peer.closed  # type: ignore[method-assign, assignment]
        task = asyncio.create_task(fetcher.fetch(web.url().replace("http", "https")))
        await eventually(lambda: web.open)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: not web.open)


# --- bounds -----------------------------------------------------------------------------------------------------------


async def endless(peer: Peer) -> None:
    await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        await peer.send(PNG * 1000)


async def endless_chunks(peer: Peer) -> None:
    await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        await peer.send(b"%x\r\n%b\r\n" % (len(PNG), PNG))


@pytest.mark.parametrize(
    "page",
    [ok(PNG + b"\0"), b"HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n", endless, endless_chunks],
    ids=["one byte", "announced", "without end", "chunks without end"],
)
async def test_an_image_that_is_too_large_is_not_read_to_its_end(page):
    async with serving() as web, fetching("127.0.0.1", max_bytes=len(PNG)) as fetcher:
        web.pages["/large.png"] = page
        message = await refused(fetcher, web.url("/large.png"))
        await eventually(lambda: not web.open)
        assert await fetcher.fetch(web.url()) == PNG

    assert message == f"The image is larger than {len(PNG)} bytes, the limit here (images.max_bytes)." + SEND_IT


async def test_what_comes_compressed_stays_so():
    bomb = gzip.compress(bytes(1_000_000))
    async with serving() as web, fetching("127.0.0.1", max_bytes=len(bomb)) as fetcher:
        web.pages["/bomb.png"] = ok(bomb, b"content-encoding: gzip")
        assert await fetcher.fetch(web.url("/bomb.png")) == bomb


async def slow_head(peer: Peer) -> None:
    for letter in b"HTTP/1.1 200 OK\r\n" + b"x-wait: 1\r\n" * 1000:
        await peer.send(bytes([letter]))
        await asyncio.sleep(0.02)


async def slow_body(peer: Peer) -> None:
    await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
    for letter in PNG * 100:
        await peer.send(bytes([letter]))
        await asyncio.sleep(0.02)


async def slow_redirect(peer: Peer) -> None:
    await asyncio.sleep(0.15)
    await peer.send(redirect("/slow"))


@pytest.mark.parametrize("page", [Peer.closed, slow_head, slow_body, slow_redirect])
async def test_an_image_that_does_not_arrive_in_time_is_given_up(page):
    async with serving() as web, fetching("127.0.0.1", timeout=0.4) as fetcher:
        web.pages["/slow"] = page
        message = await refused(fetcher, web.url("/slow"))
        await eventually(lambda: not web.open)

    assert message == "The image did not arrive within 0.4 seconds." + SEND_IT


async def test_a_name_that_nobody_looks_up_in_time_is_given_up():
    async def never(name: str) -> list[str]:
        await asyncio.sleep(60)
        raise AssertionError

    async with fetching("public", names=never, timeout=0.1) as fetcher:  # type: ignore[arg-type]
        assert await refused(fetcher, "http://images.test/") == "The image did not arrive within 0.1 seconds." + SEND_IT


@pytest.mark.parametrize(
    "page",
    [
        b"not HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: nine\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 50_000,
    ],
    ids=["garbage", "odd length", "cut", "odd chunk", "headers without end"],
)
async def test_an_answer_that_cannot_be_read_is_no_image(page):
    async def answer(peer: Peer) -> None:
        await peer.send(page)

    async with serving() as web, fetching("127.0.0.1") as fetcher:
        web.pages["/broken"] = answer
        assert await refused(fetcher, web.url("/broken")) == UNREACHABLE


async def test_no_more_than_so_many_are_fetched_at_once():
    gate = asyncio.Event()

    async def wait(peer: Peer) -> None:
        await gate.wait()
        await peer.send(ok(PNG))

    async with serving() as web, fetching("127.0.0.1") as fetcher:
        web.pages["/wait"] = wait
        tasks = [asyncio.create_task(fetcher.fetch(web.url("/wait"))) for _ in range(module.AT_ONCE + 4)]
        await eventually(lambda: len(web.requests) == module.AT_ONCE)
        await asyncio.sleep(0.05)
        assert web.connections == module.AT_ONCE
        gate.set()
        assert await asyncio.gather(*tasks) == [PNG] * len(tasks)


async def test_a_turn_that_does_not_come_in_time_is_nobodys_fault(monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 0)
    async with serving() as web, fetching("127.0.0.1", timeout=0.01) as fetcher:
        for _ in range(2):
            with pytest.raises(GatewayBusy) as caught:
                await fetcher.fetch(web.url())

    assert caught.value.message == "The gateway is busy with the images of other requests. Try again later."
    assert (caught.value.retryable, caught.value.retry_after) == (True, 2.0)
    assert web.connections == 0


async def test_a_turn_that_nobody_waits_for_any_more_is_given_to_the_next(monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 1)
    async with serving() as web, fetching("127.0.0.1") as fetcher:
        web.pages["/slow"] = Peer.closed
        tasks = [asyncio.create_task(fetcher.fetch(web.url("/slow"))) for _ in range(3)]
        await eventually(lambda: web.requests)
        for task in reversed(tasks):
            task.cancel()
        await asyncio.wait(tasks)

        assert await fetcher.fetch(web.url()) == PNG
    assert web.asked == ["/slow", "/cat.png"]


async def test_a_malformed_url_waits_for_no_turn(monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 0)
    async with fetching("127.0.0.1") as fetcher:
        assert "no http(s) URL" in await refused(fetcher, "ftp://127.0.0.1/")


async def test_a_process_without_descriptors_is_nobodys_fault(monkeypatch):
    async def refuse(*_: object) -> httpx2.Response:
        raise httpx2.ConnectError("no") from OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", refuse)
    with unused() as port:
        async with fetching("127.0.0.1") as fetcher:
            with pytest.raises(OutOfDescriptors):
                await fetcher.fetch(f"http://127.0.0.1:{port}/")
