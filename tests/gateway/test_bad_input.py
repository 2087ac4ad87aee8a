"""Whatever a caller sends: the right status, code and param, in bounded time, and the next request works."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from gateway.simulator import Simulator
from tests.running import chats, eventually, running

CHAT = "/v1/chat/completions"
HI = [{"role": "user", "content": "hi"}]


@pytest.fixture
async def host():
    async with Simulator() as host:
        yield host


def chat(**fields) -> bytes:
    return json.dumps({"model": "demo", "messages": HI, **fields}).encode()


def content_length(head: bytes) -> int:
    found = re.search(rb"content-length: (\d+)", head)
    assert found is not None
    return int(found[1])


BODIES = [
    ("nothing", b"", 400, None),
    ("not JSON", b"hello", 400, None),
    ("half", b'{"model": "demo", "mess', 400, None),
    ("a list", b"[]", 400, None),
    ("null", b"null", 400, None),
    ("broken UTF-8", b'{"model": "\xff\xfe", "messages": []}', 400, None),
    ("half a surrogate pair", b'{"model": "demo", "messages": [{"role": "user", "content": "\\ud800"}]}', 400, None),
    ("NaN", b'{"model": "demo", "temperature": NaN}', 400, None),
    ("deep nesting", b"[" * 100_000 + b"]" * 100_000, 400, None),
    (
        "deep nesting in a field",
        b'{"model": "demo", "messages": [{"role": "user", "content": "x"}], "tools": '
        + b'{"a":' * 50_000
        + b"1"
        + b"}" * 50_000
        + b"}",
        400,
        None,
    ),
    ("no model", b'{"messages": []}', 400, "model"),
    ("an unknown model", chat(model="nope"), 404, "model"),
    ("a model of 100 kB", chat(model="x" * 100_000), 404, "model"),
    ("a model with line breaks", chat(model="a\r\nx-evil: 1"), 404, "model"),
    ("no messages", b'{"model": "demo"}', 400, "messages"),
    ("a role that is none", chat(messages=[{"role": "boss", "content": "x"}]), 400, "messages[0].role"),
    ("a temperature too high", chat(temperature=3), 400, "temperature"),
    ("an option of a wrong type", chat(options={"num_ctx": "big"}), 400, "options.num_ctx"),
    ("too many choices", chat(n=33), 400, "n"),
    (
        "an image by URL",
        chat(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}]}]),
        400,
        "messages[0].content[0].image_url.url",
    ),
]


@pytest.mark.parametrize(("body", "status", "param"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES])
async def test_a_bad_body(host, body, status, param):
    async with running(host) as gateway:
        answer = await gateway.client.post(CHAT, content=body, headers={"content-type": "application/json"})

        error = answer.json()["error"]
        assert answer.status_code == status
        assert set(error) == {"message", "type", "param", "code"}
        assert (error["type"], error["param"]) == ("invalid_request_error", param)
        assert answer.headers["x-should-retry"] == "false"
        assert "x-evil" not in answer.headers
        assert chats(host) == []
        assert (await gateway.chat()).status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data; boundary=x"]
)
async def test_json_is_json_whatever_its_content_type_says(host, kind):
    async with running(host) as gateway:
        answer = await gateway.client.post(CHAT, content=chat(), headers={"content-type": kind})

    assert answer.status_code == 200


async def test_a_compressed_body_is_refused(host):
    async with running(host) as gateway:
        answer = await gateway.client.post(CHAT, content=b"x", headers={"content-encoding": "gzip"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_encoding")


async def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(host):
    async with running(host, max_body=1000) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000000\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()

    assert head.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_of_100_mb(host, chunked):
    async def pieces():
        for _ in range(100):
            yield b" " * 1_000_000

    async with running(host) as gateway:
        content = pieces() if chunked else b" " * 100_000_000
        answer = await gateway.client.post(CHAT, content=content)

        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
        assert (await gateway.chat()).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", CHAT, 405, "method_not_allowed"),
        ("HEAD", CHAT, 405, None),
        ("OPTIONS", CHAT, 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("BREW", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/v1", 404, "unknown_url"),
        ("POST", CHAT + "/", 404, "unknown_url"),
        ("POST", "/v1/images/generations", 404, "unknown_url"),
        ("POST", "/v1//chat/completions", 404, "unknown_url"),
        ("GET", "/v1/../healthz", 404, "unknown_url"),
        ("GET", "/%00", 404, "unknown_url"),
        ("GET", "/caf%C3%A9%FF", 404, "unknown_url"),
    ],
)
async def test_an_address_or_method_that_is_not_served(host, method, path, status, code):
    async with running(host) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        known = method if method != "BREW" else "PATCH"
        writer.write(
            f"{known} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".encode()
        )
        answer = await reader.read()
        writer.close()

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert (b"\r\nallow: " in head) == (status == 405)
    if code is None:
        assert body == b""
    else:
        assert json.loads(body)["error"]["code"] == code


@pytest.mark.parametrize(
    ("method", "path", "served"),
    [("DELETE", CHAT, "POST is"), ("DELETE", "/v1/models", "GET and HEAD are")],
)
async def test_a_refused_method_is_told_those_that_are_served(host, method, path, served):
    async with running(host) as gateway:
        answer = await gateway.client.request(method, path)

    assert answer.json()["error"]["message"] == f"{method} is not served at {path}; {served}."


RAW = [
    ("not HTTP", b"\x16\x03\x01\x02\x00\x01\x00", 400),
    ("another version", b"GET /v1/models HTTP/9.9\r\n\r\n", 400),
    ("a header without a name", b"GET /v1/models HTTP/1.1\r\n: x\r\n\r\n", 400),
    (
        "two lengths",
        b"POST /v1/models HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
        400,
    ),
    (
        "a length and chunks",
        b"POST /v1/models HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("a length that is no number", b"POST /v1/models HTTP/1.1\r\nhost: localhost\r\ncontent-length: many\r\n\r\n", 400),
    (
        "a broken chunk",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        400,
    ),
    (
        "a broken chunk after an offer of another protocol",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: h2c\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        400,
    ),
    ("endless headers", b"GET /v1/models HTTP/1.1\r\n" + b"x: y\r\n" * 50_000, 431),
    ("an endless line", b"GET /" + b"x" * 300_000, 431),
]


@pytest.mark.parametrize(("sent", "status"), [row[1:] for row in RAW], ids=[row[0] for row in RAW])
async def test_what_is_not_proper_http(host, sent, status):
    async with running(host) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(sent)
        answer = await reader.read()
        writer.close()

        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}
        assert (await gateway.chat()).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{",
    ],
    ids=["headers", "body"],
)
async def test_a_request_that_never_gets_whole_has_an_end(host, sent):
    async with running(host, receive_timeout=0.2) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(sent)
        answer = await reader.read()
        writer.close()

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request_timeout"' in answer


async def test_dripping_does_not_buy_time(host):
    async with running(host, receive_timeout=0.3) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        answer = asyncio.create_task(reader.read())
        for byte in b"POST /v1/chat/completions HTTP/1.1\r\nhost: " + b"x" * 1000:
            if answer.done():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)
        assert (await answer).startswith(b"HTTP/1.1 408 ")
        writer.close()


async def test_a_connection_on_which_nothing_is_asked_is_closed(host):
    async with running(host, receive_timeout=0.2) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        assert await reader.read() == b""
        writer.close()


async def test_requests_one_after_the_other_on_one_connection(host):
    async with running(host) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
        writer.write(request * 3)
        for _ in range(3):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            await reader.readexactly(len(b'{"status":"ok"}'))
        writer.close()
        await eventually(lambda: not gateway.server.server_state.tasks)


async def test_a_caller_that_waits_to_be_asked_for_its_body(host):
    async with running(host) as gateway:
        body = chat()
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(
            f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        )
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.close()


@pytest.mark.parametrize("upgrade", ["h2c", "websocket"])
@pytest.mark.parametrize("framing", ["length", "chunks", "apart"])
async def test_a_request_that_offers_another_protocol_is_answered_by_this_one(host, upgrade, framing):
    """Java's client sends `Upgrade: h2c` with its first request by default."""
    body = chat()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: {upgrade}\r\n"
    if framing == "chunks":
        sent = f"{head}transfer-encoding: chunked\r\n\r\n{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    else:
        sent = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
    async with running(host) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        for piece in (sent[:-20], sent[-20:]) if framing == "apart" else (sent,):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        first = await reader.readuntil(b"\r\n\r\n")
        length = content_length(first)
        answer = json.loads(await reader.readexactly(length))
        assert await reader.read() == b""
        writer.close()

    assert first.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in first
    assert answer["choices"][0]["message"]["content"].endswith("You said: hi")


async def test_a_request_without_a_body_that_offers_another_protocol(host):
    async with running(host) as gateway:
        answer = await gateway.client.get("/v1/models", headers={"connection": "Upgrade", "upgrade": "h2c"})

    assert answer.status_code == 200


async def test_a_large_body_with_the_next_request_behind_it(host):
    async with running(host) as gateway:
        body = chat(messages=[{"role": "user", "content": " " * 200_000}])
        sent = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(sent + b"GET /heal")
        first = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(content_length(first))
        writer.write(b"thz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        second = await reader.readuntil(b"\r\n\r\n")
        writer.close()

    assert first.startswith(b"HTTP/1.1 200 ")
    assert second.startswith(b"HTTP/1.1 200 ")


async def test_the_body_of_a_refused_request_has_an_end_too(host):
    async with running(host, receive_timeout=0.3) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"POST /nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n")
        answer = asyncio.create_task(reader.read())
        for _ in range(100):
            if answer.done():
                break
            writer.write(b"x")
            await asyncio.sleep(0.02)
        writer.close()

        assert (await answer).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "localhost:11435"}, 200),
        ({"host": "127.0.0.1"}, 200),
        ({"host": "[::1]:11435"}, 200),
        ({"host": "192.168.1.5:11435"}, 200),
        ({"host": "host.docker.internal:11435"}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "localhost.evil.example"}, 403),
        ({"origin": "http://localhost:3000"}, 200),
        ({"origin": "http://127.0.0.1:8080"}, 200),
        ({"origin": "app://obsidian.md"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://localhost.evil.example"}, 403),
        ({"origin": "http://127.0.0.1.evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
async def test_without_keys_the_pages_of_strangers_are_refused(host, headers, status):
    async with running(host) as gateway:
        answer = await gateway.client.get("/v1/models", headers=headers)

    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"]["code"] == "forbidden"
        assert next(iter(headers)) in answer.json()["error"]["message"]


async def test_where_everyone_may_everything_nobody_is_asked_whose_page_it_is(host):
    async with running(host, auth="none") as gateway:
        answer = await gateway.client.get("/v1/models", headers={"host": "llm.example", "origin": "https://x.example"})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n"]
)
async def test_what_is_not_meant_for_it_causes_no_exception_in_the_loop(host, sent):
    failures = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    async with running(host) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(sent)
        answer = await reader.read()
        writer.close()

    assert answer.startswith(b"HTTP/1.1 4")
    assert failures == []
