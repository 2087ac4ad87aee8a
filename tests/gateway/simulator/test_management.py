"""Copy, delete, and what a host asks the cloud for, beyond the recordings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.simulator import SimulatedModel, Simulator, says
from tests.gateway.simulator.client import Received, ask, chat

MODEL = SimulatedModel(name="m", speak=says("hi"))


@pytest.fixture
async def host() -> AsyncIterator[Simulator]:
    async with Simulator(models=[MODEL]) as simulator:
        yield simulator


async def copy(host: Simulator, source: str, destination: str) -> Received:
    return await ask(host.url, "POST", "/api/copy", {"source": source, "destination": destination})


async def delete(host: Simulator, model: str) -> Received:
    return await ask(host.url, "DELETE", "/api/delete", {"model": model})


async def listed(host: Simulator) -> dict[str, str]:
    return {model["name"]: model["digest"] for model in (await ask(host.url, "GET", "/api/tags")).json["models"]}


async def test_a_copy_is_the_same_model_and_shares_its_runner(host: Simulator) -> None:
    received = await copy(host, "M", "a/b/copy:v2")
    assert (received.status, received.body) == (200, b"")
    models = await listed(host)
    assert models["a/b/copy:v2"] == models["m:latest"]
    await chat(host.url, model="m")
    await chat(host.url, model="a/b/copy:v2")
    assert (host.loads, host.resident) == (1, ["m:latest"])


async def test_a_copy_onto_itself_changes_nothing_and_onto_another_replaces_it(host: Simulator) -> None:
    host.add(SimulatedModel(name="Other", speak=says("ho")))
    assert (await copy(host, "m", "m:latest")).status == 200
    assert (await copy(host, "m", "other")).status == 200
    models = await listed(host)
    assert list(models) == ["m:latest", "Other:latest"]
    assert models["Other:latest"] == models["m:latest"]


async def test_a_copy_outlives_what_it_was_copied_from(host: Simulator) -> None:
    await copy(host, "m", "n")
    assert (await delete(host, "m")).status == 200
    assert (await chat(host.url, model="m")).status == 404
    assert (await chat(host.url, model="n")).status == 200


async def test_a_deleted_model_stays_in_memory_for_its_time(host: Simulator) -> None:
    await chat(host.url, model="m")
    assert (await delete(host, "m")).status == 200
    assert host.resident == ["m:latest"]
    assert (await chat(host.url, model="m")).status == 404
    assert await listed(host) == {}


BAD = [
    ("POST", "/api/copy", {"source": "m"}, 400, 'destination "" is invalid'),
    ("POST", "/api/copy", {"source": 1}, 400, "json: cannot unmarshal number into Go struct field CopyRequest.source of type string"),
    ("POST", "/api/copy", b"", 400, "missing request body"),
    ("DELETE", "/api/delete", b"", 400, "missing request body"),
    ("DELETE", "/api/delete", b"{", 400, "unexpected EOF"),
    ("DELETE", "/api/delete", {"model": "  "}, 400, "model is required"),
    ("DELETE", "/api/delete", {"model": "a/b/c/d/e"}, 400, 'name "a/b/c/d/e" is invalid'),
    ("DELETE", "/api/delete", {"model": "../m"}, 400, 'name "../m" is invalid'),
    ("DELETE", "/api/delete", {"name": "n:1"}, 404, "model 'n:1' not found"),
    ("POST", "/api/pull", [], 400, "json: cannot unmarshal array into Go value of type api.PullRequest"),
    ("POST", "/api/push", {"insecure": "x"}, 400, "json: cannot unmarshal string into Go struct field PushRequest.insecure of type bool"),
    ("POST", "/api/me", None, 401, "unauthorized"),
    ("POST", "/api/signout", None, 401, "you are not currently signed in"),
    ("DELETE", "/api/user/keys/abc", None, 401, "you are not currently signed in"),
    ("POST", "/api/experimental/web_search", b" ", 400, "missing request body"),
    ("POST", "/api/experimental/web_fetch", {"url": "x"}, 403, "ollama cloud is disabled: web fetch is unavailable"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "status", "error"), BAD)
async def test_what_cannot_be_done_is_refused(
    host: Simulator, method: str, path: str, body: Any, status: int, error: str
) -> None:
    received = await ask(host.url, method, path, body)
    assert (received.status, received.json["error"]) == (status, error)
    assert list(await listed(host)) == ["m:latest"]
