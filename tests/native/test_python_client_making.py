"""What the client is made with: addresses, keys, headers, time-outs; and how it ends."""

from __future__ import annotations

import httpx
import pytest
from ollama import ResponseError

from gateway.simulator.faults import Hang
from tests.conformance.clients.members import WHOLE
from tests.conformance.clients.uses import PYTHON, Way, uses
from tests.e2e.cast import SAID
from tests.native.calling import Caller, text
from tests.native.conftest import ALICE, BOB, Fleet

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.parametrize("way", WHOLE)]

HI = [{"role": "user", "content": "hi"}]


@uses(PYTHON, "Client", "host")
@pytest.mark.parametrize("form", ["http://127.0.0.1:{}", "http://127.0.0.1:{}/", "127.0.0.1:{}", ":{}"])
async def test_an_address_in_every_form(fleet: Fleet, way: Way, form: str) -> None:
    async with Caller(form.format(fleet.gateway.port), BOB) as caller:
        answer = await caller.call(way, "chat", model="chat:0.33", messages=HI)

    assert text(answer) == SAID


@uses(PYTHON, "Client", "headers", remark='the key: `{"Authorization": "Bearer …"}`, or `x-api-key`')
@pytest.mark.parametrize("headers", [{"Authorization": f"Bearer {BOB}"}, {"x-api-key": BOB}])
async def test_a_key_in_a_header(fleet: Fleet, way: Way, headers: dict[str, str]) -> None:
    async with Caller(fleet.gateway.url, headers=headers) as caller:
        answer = await caller.call(way, "chat", model="chat:0.33", messages=HI)

    [chat] = fleet.hosts["new"].simulator.requests[-1:]
    assert text(answer) == SAID
    assert BOB not in str(chat.headers)


async def test_a_key_and_an_address_in_the_environment(fleet: Fleet, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", fleet.gateway.url)
    monkeypatch.setenv("OLLAMA_API_KEY", ALICE)
    async with Caller("") as caller:
        answer = await caller.call(way, "chat", model="chat:0.33", messages=HI)

    assert text(answer) == SAID


@pytest.mark.parametrize(
    ("key", "error"), [("", "No API key was given."), ("sk-wrong", "The API key is not known here.")]
)
@uses(PYTHON, "ResponseError", "status_code: 401", remark="a key that is missing or wrong")
async def test_without_a_key_nothing_is_answered(fleet: Fleet, way: Way, key: str, error: str) -> None:
    async with Caller(fleet.gateway.url, key) as caller:
        for method in ("list", "ps"):
            with pytest.raises(ResponseError, match=error) as caught:
                await caller.call(way, method)
            assert caught.value.status_code == 401
        for method in ("chat", "generate", "embed", "embeddings", "show", "pull", "push", "delete"):
            with pytest.raises(ResponseError, match=error) as caught:
                await caller.call(way, method, model="demo")
            assert caught.value.status_code == 401

    assert [request for host in fleet.hosts.values() for request in host.simulator.requests if request.inference] == []


@uses(PYTHON, "Client", "timeout", remark="the host stops as well")
async def test_a_caller_who_waits_no_longer(fleet: Fleet, way: Way) -> None:
    host = fleet.hosts["new"].simulator
    host.script(Hang(path="/api/chat"))
    async with Caller(fleet.gateway.url, BOB, timeout=0.2) as caller:
        with pytest.raises(httpx.ReadTimeout):
            await caller.call(way, "chat", model="chat:0.33", messages=HI)
    await host.wait_idle()

    assert [request.ended for request in host.requests if request.path == "/api/chat"] == ["cancelled"]


@uses(PYTHON, "Client", "follow_redirects", remark="what the client asks is not redirected")
async def test_nothing_is_redirected(fleet: Fleet, way: Way) -> None:
    async with Caller(fleet.gateway.url, BOB, follow_redirects=False) as caller:
        answer = await caller.call(way, "chat", model="chat:0.33", messages=HI)

    assert text(answer) == SAID


@uses(PYTHON, "close")
async def test_a_client_that_is_closed(fleet: Fleet, way: Way) -> None:
    async with Caller(fleet.gateway.url, BOB) as caller:
        await caller.call(way, "chat", model="chat:0.33", messages=HI)
        await caller.call(way, "close")
        with pytest.raises(RuntimeError, match="closed"):
            await caller.call(way, "list")
