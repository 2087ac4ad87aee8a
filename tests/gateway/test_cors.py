"""Pages in browsers: what lets them call, what they may read, and what is said to those who may not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.config import CorsSettings, KeySettings
from gateway.cors import EXPOSED, MAX_AGE, Cors
from gateway.log import set_up
from gateway.simulator import Simulator
from gateway.simulator.faults import Reply
from tests.running import Running, chats, running

PAGE, STRANGER = "https://app.example", "https://evil.example"
ORIGINS = CorsSettings(origins=(PAGE, "http://localhost:3000"))
SECRET = "sk-alice-0123456789"
KEYS = (KeySettings(name="alice", secret=SECRET),)

SDKS = {
    "OpenAI for JavaScript": (
        "authorization,content-type,idempotency-key,openai-beta,openai-organization,openai-project,"
        "x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count,"
        "x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout"
    ),
    "Anthropic for JavaScript": (
        "anthropic-beta,anthropic-dangerous-direct-browser-access,anthropic-version,content-type,x-api-key,"
        "x-stainless-arch,x-stainless-helper-method,x-stainless-lang,x-stainless-os,x-stainless-package-version,"
        "x-stainless-retry-count,x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout"
    ),
    "a newer one": "authorization,x-nobody-knows-this-yet",
}
"""The headers of which a browser asks in a preflight (wire.md 11.4)."""


@pytest.fixture
async def host():
    async with Simulator() as host:
        yield host


async def preflight(
    gateway: Running, origin: str, *, method: str = "POST", path: str = "/v1/chat/completions", **more: str
) -> httpx2.Response:
    """Ask what a browser asks before it sends a page's request."""
    asked = {"origin": origin, "access-control-request-method": method}
    asked |= {f"access-control-request-{name.replace('_', '-')}": value for name, value in more.items()}
    return await gateway.client.request("OPTIONS", path, headers=asked)


def tokens(answer: httpx2.Response, name: str) -> set[str]:
    """Return the members of a header that is a list."""
    return {token.strip().lower() for token in answer.headers.get(name, "").split(",")} - {""}


def allowed(answer: httpx2.Response) -> str | None:
    """Return whose pages may read an answer."""
    origin: str | None = answer.headers.get("access-control-allow-origin")
    return origin


# --- preflights -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", SDKS.values(), ids=SDKS)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("DELETE", "/v1/models/a/b"), ("POST", "/v1/nothing")],
)
async def test_an_sdk_in_a_page_may_call(host, headers, method, path):
    async with running(host, cors=ORIGINS, keys=KEYS) as gateway:
        answer = await preflight(gateway, PAGE, method=method, path=path, headers=headers)

    assert answer.status_code == 200
    assert allowed(answer) == PAGE
    assert method.lower() in tokens(answer, "access-control-allow-methods")
    assert set(headers.split(",")) <= tokens(answer, "access-control-allow-headers")
    assert answer.headers["access-control-max-age"] == str(MAX_AGE)
    assert "origin" in tokens(answer, "vary")
    assert "access-control-allow-credentials" not in answer.headers


async def test_a_page_may_call_into_a_private_network(host):
    async with running(host, cors=ORIGINS) as gateway:
        answer = await preflight(gateway, PAGE, private_network="true")

    assert (answer.status_code, answer.headers["access-control-allow-private-network"]) == (200, "true")


async def test_a_method_that_is_never_served_is_refused(host):
    async with running(host, cors=ORIGINS) as gateway:
        answer = await preflight(gateway, PAGE, method="PUT")

    assert (answer.status_code, answer.text) == (400, "Disallowed CORS method")


@pytest.mark.parametrize("cors", [ORIGINS, CorsSettings()], ids=["others may", "nobody may"])
@pytest.mark.parametrize("origin", [STRANGER, "null", "https://app.example:8443", "http://app.example"])
async def test_a_page_that_may_not_call_is_told_why_and_so_is_the_log(host, tmp_path, monkeypatch, cors, origin):
    monkeypatch.setattr("gateway.log._write", None)
    with (tmp_path / "log").open("wb") as log:
        set_up("json", log)
        async with running(host, cors=cors, keys=KEYS) as gateway:
            answer = await preflight(gateway, origin, headers="authorization,content-type")

    assert answer.status_code == 403
    assert allowed(answer) is None
    assert answer.headers["x-request-id"]
    assert answer.json()["error"] == {
        "message": f"Pages of the origin {origin!r} may not call this gateway from a browser. "
        "Add the origin to `cors.origins` in its configuration.",
        "type": "invalid_request_error",
        "param": None,
        "code": "forbidden",
    }
    assert f'"detail":"origin {origin}"' in (tmp_path / "log").read_text()


async def test_options_that_are_no_preflight_are_another_method(host):
    async with running(host, cors=ORIGINS) as gateway:
        answers = [
            await gateway.client.request("OPTIONS", "/v1/models", headers=headers)
            for headers in ({}, {"origin": PAGE}, {"access-control-request-method": "GET"})
        ]

    assert [answer.status_code for answer in answers] == [405, 405, 405]


# --- answers ----------------------------------------------------------------------------------------------------------

CALLS: dict[str, tuple[int, Mapping[str, Any]]] = {
    "an answer": (200, {"model": "demo"}),
    "a stream": (200, {"model": "demo", "stream": True}),
    "a mistake": (400, {"model": "demo", "temperature": "hot"}),
    "an unknown model": (404, {"model": "nobody"}),
    "a host's failure": (502, {"model": "demo"}),
}


@pytest.mark.parametrize(("status", "fields"), CALLS.values(), ids=CALLS)
async def test_a_page_can_read_every_answer(host, status, fields):
    if status == 502:
        host.script(Reply(body=b"oops", path="/api/chat", times=None))
    async with running(host, cors=ORIGINS) as gateway:
        gateway.client.headers["origin"] = PAGE
        answer = await gateway.chat(**fields)

    assert answer.status_code == status
    assert allowed(answer) == PAGE
    assert tokens(answer, "access-control-expose-headers") == {*EXPOSED}
    assert "origin" in tokens(answer, "vary")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/models", 401),
        ("DELETE", "/v1/models/demo", 401),
        ("GET", "/v1/files", 404),
        ("GET", "/readyz", 200),
    ],
)
async def test_a_page_can_read_refusals(host, method, path, status):
    async with running(host, cors=ORIGINS, keys=KEYS) as gateway:
        answer = await gateway.client.request(method, path, headers={"origin": PAGE, "authorization": "Bearer wrong"})

    assert (answer.status_code, allowed(answer)) == (status, PAGE)


async def test_other_pages_cannot_read_and_whoever_is_no_page_is_not_concerned(host):
    async with running(host, cors=ORIGINS, keys=KEYS) as gateway:
        headers = {"authorization": f"Bearer {SECRET}"}
        stranger = await gateway.client.get("/v1/models", headers={**headers, "origin": STRANGER})
        program = await gateway.client.get("/v1/models", headers=headers)

    for answer in (stranger, program):
        assert (answer.status_code, allowed(answer)) == (200, None)
        assert "origin" in tokens(answer, "vary")  # a cache must not give it to a page that may read


async def test_every_page_may_call_when_all_may(host):
    async with running(host, cors=CorsSettings(origins=("*",))) as gateway:
        asked = await preflight(gateway, STRANGER, headers="authorization")
        answer = await gateway.client.get("/v1/models", headers={"origin": STRANGER})

    assert (asked.status_code, answer.status_code) == (200, 200)
    assert (allowed(asked), allowed(answer)) == ("*", "*")


def test_all_headers_of_ours_can_be_read():
    sources = "".join(path.read_text() for path in (Path(__file__).parents[2] / "gateway").rglob("*.py"))
    ours = set(re.findall(r'b"(x-[a-z-]+|retry-after|www-authenticate|allow)"', sources))

    assert ours - {"x-accel-buffering", "x-api-key", "x-gateway-hosts"} == {*EXPOSED}


async def test_without_origins_nothing_stands_in_the_way(host):
    async with running(host) as without, running(host, cors=ORIGINS) as with_origins:
        answer = await without.client.get("/v1/models", headers={"origin": "http://localhost:3000"})

        assert not isinstance(without.gateway.app, Cors)
        assert isinstance(with_origins.gateway.app, Cors)
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control") or name == "vary"]


# --- without keys, on this machine only -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origins", "origin", "status"),
    [
        ((), PAGE, 403),
        ((PAGE,), PAGE, 200),
        ((PAGE,), STRANGER, 403),
        (("*",), STRANGER, 200),
        (("*",), "null", 200),
    ],
)
async def test_a_page_that_may_call_gets_through_where_strangers_do_not(host, origins, origin, status):
    async with running(host, cors=CorsSettings(origins=origins)) as gateway:
        answer = await gateway.client.get("/v1/models", headers={"origin": origin})
        rebound = await gateway.client.get("/v1/models", headers={"origin": origin, "host": "evil.example"})

    assert (answer.status_code, rebound.status_code) == (status, 403)
    if status == 403:
        assert "Add it to `cors.origins`" in answer.json()["error"]["message"]


# --- toward hosts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_hosts_see_nothing_of_what_a_page_sends_beside_the_request(host, stream):
    sent = {
        "origin": PAGE,
        "referer": f"{PAGE}/chat",
        "cookie": "session=s3cr3t",
        "authorization": f"Bearer {SECRET}",
        "x-api-key": SECRET,
        "user-agent": "Mozilla/5.0 (a page)",
        "accept-encoding": "br, zstd",
        "accept-language": "de",
        "forwarded": "for=10.1.2.3",
        "x-forwarded-for": "10.1.2.3",
        "x-stainless-lang": "js",
        "openai-organization": "org-1",
        "x-request-id": "req-of-the-caller",
        "sec-fetch-site": "cross-site",
        "te": "trailers",
    }
    async with running(host, cors=ORIGINS, keys=KEYS) as gateway:
        gateway.client.headers.update(sent)
        answer = await gateway.chat(stream=stream)

    assert answer.status_code == 200
    assert len(chats(host)) == 1
    (chat,) = [request for request in host.requests if request.path == "/api/chat"]
    assert chat.header("host") == host.url.removeprefix("http://")
    assert {name.lower() for name, _ in chat.headers} == {"host", "content-type", "content-length"}
