"""Whatever a caller sends: the right status, code and param, in bounded time, and the next request works."""

from __future__ import annotations

import asyncio
import json

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
    ("two choices", chat(n=2), 400, "n"),
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
        writer.write(f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n".encode())
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
        ("DELETE", "/v1/models/demo", 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("BREW", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/", 404, "unknown_url"),
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
        writer.write(f"{known} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert (b"\r\nallow: " in head) == (status == 405)
    if code is None:
        assert body == b""
    else:
        assert json.loads(body)["error"]["code"] == code


RAW = [
    ("not HTTP", b"\x16\x03\x01\x02\x00\x01\x00", 400),
    ("another version", b"GET / HTTP/9.9\r\n\r\n", 400),
    ("a header without a name", b"GET / HTTP/1.1\r\n: x\r\n\r\n", 400),
    ("two lengths", b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx", 400),
    (
        "a length and chunks",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("a length that is no number", b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: many\r\n\r\n", 400),
    (
        "a broken chunk",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        400,
    ),
    ("endless headers", b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 50_000, 431),
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
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
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
        request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
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
            f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        )
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.close()
