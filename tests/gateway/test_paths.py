"""Paths that mean one thing here and could mean another one at a host: none of them is passed on."""

from __future__ import annotations

import asyncio
import json

import pytest
import pytest_asyncio

from gateway.config import KeySettings
from gateway.simulator import Simulator
from tests.adapters.ollama.recorded import recording
from tests.running import Running, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALICE = KeySettings(name="alice", secret="sk-alice-0123456789", scopes=("admin",))
KEY = f"x-api-key: {ALICE.secret}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served():
    async with Simulator() as host, running(host, keys=(ALICE,), probe_interval=600) as gateway:
        await gateway.seen()
        yield host, gateway


@pytest.fixture
def host(served):
    host, _ = served
    host.requests.clear()
    return host


@pytest.fixture
def gateway(served):
    return served[1]


async def ask(
    gateway: Running, target: str, method: str = "GET", *, key: str = KEY
) -> tuple[int, dict[str, str], bytes]:
    """Send a request exactly as it is written, and return status, headers and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    headers = ("host: localhost", "content-length: 0", "connection: close", *filter(None, (key,)))
    writer.write("\r\n".join((f"{method} {target} HTTP/1.1", *headers, "", "")).encode("latin-1"))
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    status, *fields = head.decode("latin-1").split("\r\n")
    return int(status.split()[1]), dict(field.split(": ", 1) for field in fields), body


TRICKS = [
    "/api/../v1/models",
    "/api/..",
    "/api/../",
    "/api/x/../../metrics",
    "/api/./me",
    "/api/.",
    "/api/%2e%2e/x",
    "/api/%2E%2E/x",
    "/api/.%2e/x",
    "/api/%2e/me",
    "/api/x%2f..%2fy",
    "/api/x%2Fy",
    "/api/tags%2F",
    "/api/chat%2f",
    "/api/x%5cy",
    "/api/x%5C..%5Cy",
    "/api/x\\y",
    "/api/..\\x",
    "/api//me",
    "/api/me//",
    "/api///",
    "/api/..;/x",
    "/api/me;x=/../y",
    "/api/%252e%252e/x",
    "/api/x%252fy",
    "/api/x%00",
    "/api/x%0d%0ahost:%20evil",
    "/api/x%0ay",
    "/api/x%7f",
    "/api/x%1b",
    "/api/%c0%ae%c0%ae/x",
    "/api/%zz",
    "/api/%",
    "/api/%u002e",
    "/api/http://evil/x",
    "/api/x|y",
    '/api/"><script>',
    "/%61pi/me",
    "/api%2fme",
    "/api/blobs/..%2f..%2fx",
    "/api/blobs/../x",
    "/api/blobs/sha256:x/../y",
    "//evil/api/me",
    "//api/me",
    "///api/me",
    "/../api/me",
    "/x/../api/me",
    "\\api\\me",
    "api/me",
    "http://evil/api/me",
    "https://evil/api/me",
    "http:/api/me",
    "HTTP://localhost/api/me",
    "file:///api/me",
    "*",
    "/api/caf\xe9",
    "/api/x\x01y",
    "/api/x\x7fy",
]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("target", TRICKS)
async def test_a_trick_reaches_no_host(host, gateway, target, method):
    status, _, body = await ask(gateway, target, method)

    assert status in (400, 404)
    assert set(json.loads(body)) == {"error"}
    assert host.requests == []


PLAIN = [
    "/api/x",
    "/api/x/y/z",
    "/api/...",
    "/api/.x/..y/z..",
    "/api/a-b_c~d:e@f+g,h=i",
    "/api/caf%C3%A9",
    "/api/a%20b",
    "/api/x?../..%2f%00//\\",
    "/api/x?",
]


@pytest.mark.parametrize("target", PLAIN)
async def test_a_plain_path_goes_as_it_is_written(host, gateway, target):
    status, _, body = await ask(gateway, target)

    assert (status, body) == (404, b"404 page not found")
    assert [request.target for request in host.requests] == [target.removesuffix("?")]


METHODS = [
    ("GET", "/api/chat", "POST"),
    ("OPTIONS", "/api/chat", "POST"),
    ("POST", "/api/tags", "HEAD, GET"),
    ("POST", "/api/delete", "DELETE"),
    ("DELETE", "/api/version", "HEAD, GET"),
    ("POST", "/api/ps", "GET"),
    ("GET", "/api/pull", "POST"),
    ("PUT", "/api/create", "POST"),
    ("TRACE", "/api/copy", "POST"),
    ("GET", "/api/blobs/sha256:00", "HEAD, POST"),
]


@pytest.mark.parametrize(("method", "path", "allow"), METHODS)
async def test_another_method_on_a_path_that_is_served_is_not_passed_on(host, gateway, method, path, allow):
    recorded = recording("0.33/misc-wrong-method-chat")
    status, headers, body = await ask(gateway, path, method, key="")

    assert (status, body) == (recorded.status, recorded.body)
    assert (headers["content-type"], headers["allow"]) == ("text/plain", allow)
    assert host.requests == []


@pytest.mark.parametrize("path", ["/api/ps", "/api/status"])
async def test_head_is_served_only_where_it_is_with_ollama(host, gateway, path):
    status, headers, body = await ask(gateway, path, "HEAD")

    assert (status, headers["allow"], body) == (405, "GET", b"")
    assert host.requests == []


REFUSED = [
    ("http://evil/api/tags", True),
    ("HTTP://localhost:11435/%61pi/tags?x=/", True),
    ("https://evil/", True),
    ("http://evil/v1/models", False),
    ("http://evil/v1/models?x=/api/tags", False),
    ("http://evil", False),
    ("api/tags", False),
]


@pytest.mark.parametrize(("target", "native"), REFUSED)
async def test_what_is_refused_at_once_is_told_in_the_shape_of_the_api_that_it_asks_for(gateway, target, native):
    status, headers, body = await ask(gateway, target)

    assert (status, headers["connection"]) == (400, "close")
    assert isinstance(json.loads(body)["error"], str) is native


async def test_headers_that_do_not_end_are_told_in_the_shape_of_the_api_that_they_ask_for(gateway):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"GET /api/tags HTTP/1.1\r\nx: " + b"y" * 70_000)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()

    assert head.startswith(b"HTTP/1.1 431 ")
    assert "larger than 65536 bytes" in json.loads(body)["error"]


SLASHES = [
    ("GET", "/api/tags/", 301, "/api/tags"),
    ("GET", "/api/tags/?a=<b>&c", 301, "/api/tags?a=<b>&c"),
    ("HEAD", "/api/tags/", 307, "/api/tags"),
    ("POST", "/api/chat/", 307, "/api/chat"),
    ("DELETE", "/api/delete/?x", 307, "/api/delete?x"),
    ("POST", "/api/blobs/sha256:00/", 307, "/api/blobs/sha256:00"),
]


@pytest.mark.parametrize(("method", "target", "status", "location"), SLASHES)
async def test_a_slash_too_many_leads_to_the_path_without_it(host, gateway, method, target, status, location):
    found, headers, body = await ask(gateway, target, method, key="")

    assert (found, headers["location"]) == (status, location)
    assert b"<b>" not in body
    assert host.requests == []


async def test_a_slash_too_many_is_answered_as_by_ollama(gateway):
    recorded = recording("0.33/misc-trailing-slash")
    status, headers, body = await ask(gateway, "/api/tags/", key="")

    assert (status, body) == (recorded.status, recorded.body)
    assert headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(("method", "target"), [("POST", "/api/tags/"), ("GET", "/api/chat/"), ("GET", "/api/new/")])
async def test_what_is_not_served_without_the_slash_either_is_for_a_host_to_judge(host, gateway, method, target):
    _, headers, _ = await ask(gateway, target, method)

    assert headers["x-gateway-host"] == "host-0"
    assert [(request.method, request.target) for request in host.requests] == [(method, target)]
