"""Pull and push beyond the recordings: who shares a download, who ends it, and what is left of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.simulator import Broken, Corrupt, PlainHTTP, Registry, SimulatedModel, Simulator, Unreachable, says
from gateway.simulator.faults import Cut, Hang, Reply, error_line
from tests.gateway.simulator.client import Client, Received, ask, chat

BIG = SimulatedModel(name="big", speak=says("hi"), size=1000, parameters={"num_ctx": 100}, system="Be big.")
WEIGHTS = BIG.layers[0].digest


@pytest.fixture
async def host() -> AsyncIterator[Simulator]:
    async with Simulator(registry=[BIG]) as simulator:
        yield simulator


async def pull(host: Simulator, model: str = "big", **more: Any) -> Received:
    return await ask(host.url, "POST", "/api/pull", {"model": model, **more})


class Pull:
    """A client that pulls, and may leave in the middle."""

    def __init__(self, host: Simulator, model: str = "big") -> None:
        self._task = asyncio.create_task(pull(host, model))

    async def leave(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def end(self) -> Received:
        return await self._task


def weights(received: Received) -> list[int]:
    """Return how many bytes of the weights each line tells."""
    return [frame.get("completed", 0) for frame in received.frames if frame.get("digest") == WEIGHTS]


async def names(host: Simulator) -> list[str]:
    return [model["name"] for model in (await ask(host.url, "GET", "/api/tags")).json["models"]]


async def test_a_pulled_model_can_be_used(host: Simulator) -> None:
    assert (await chat(host.url, model="big")).status == 404
    received = await pull(host)
    assert [frame["status"] for frame in (received.frames[0], received.frames[-1])] == ["pulling manifest", "success"]
    assert await names(host) == ["demo:latest", "big:latest"]
    assert (await chat(host.url, model="big")).status == 200
    assert WEIGHTS in host.blobs


async def test_the_default_host_can_pull_demo() -> None:
    async with Simulator(models=[]) as host:
        assert (await pull(host, "demo", stream=False)).json == {"status": "success"}
        assert await names(host) == ["demo:latest"]


async def test_a_pull_tells_how_far_it_is(host: Simulator) -> None:
    host.pull_steps = 5
    received = await pull(host)
    assert weights(received) == [0, 200, 400, 600, 800, 1000]
    assert "completed" not in received.frames[1]
    assert {frame["total"] for frame in received.frames if frame.get("digest") == WEIGHTS} == {1000}


@pytest.mark.parametrize(("version", "layers"), [("0.24.0", 5), ("0.33.0", 1)])
async def test_small_layers_are_told_by_old_hosts_only(version: str, layers: int) -> None:
    async with Simulator(registry=[BIG], models=[], version=version) as host:
        received = await pull(host)
    assert len({frame["digest"] for frame in received.frames if "digest" in frame}) == layers


async def test_two_who_pull_the_same_share_one_download(host: Simulator) -> None:
    host.pull_seconds = 0.05
    missing = [layer for layer in BIG.layers if layer.digest not in host.blobs]
    answers = await asyncio.gather(pull(host), pull(host), pull(host))
    assert [received.frames[-1] for received in answers] == [{"status": "success"}] * 3
    assert host.downloaded == len(missing)


async def test_one_who_leaves_does_not_stop_the_other(host: Simulator) -> None:
    host.pull_seconds = 3600.0
    first, second = Pull(host), Pull(host)
    await host.wait_until(lambda: host.downloading == [WEIGHTS] and len(host.requests) == 2)
    await first.leave()
    await host.wait_until(lambda: host.requests[0].ended == "cancelled" or host.requests[1].ended == "cancelled")
    assert host.downloading == [WEIGHTS]
    await second.leave()
    await host.wait_until(lambda: host.downloading == [])
    assert [request.ended for request in host.requests] == ["cancelled", "cancelled"]


async def test_the_pull_of_a_client_that_leaves_is_given_up_and_goes_on_from_there_later(host: Simulator) -> None:
    host.pull_seconds, host.pull_steps = 0.2, 4
    received = await ask(host.url, "POST", "/api/pull", {"model": "big"}, most=4)  # the manifest, 0, 250, 500
    assert weights(received) == [0, 250, 500]
    await host.wait_until(lambda: host.requests[0].ended == "cancelled")
    assert (host.downloading, await names(host)) == ([], ["demo:latest"])
    assert weights(await pull(host))[0] >= 500


async def test_a_pull_without_lines_is_given_up_too(host: Simulator) -> None:
    host.pull_seconds = 3600.0
    client = await Client.connect(host.url)
    await client.send("POST", "/api/pull", b'{"model":"big","stream":false}')
    await host.wait_until(lambda: host.downloading == [WEIGHTS])
    client.close()
    await host.wait_until(lambda: host.downloading == [])


async def test_a_host_that_dies_in_the_middle_begins_anew(host: Simulator) -> None:
    host.pull_seconds, host.pull_steps = 0.2, 4
    client = await Client.connect(host.url)
    await client.send("POST", "/api/pull", b'{"model":"big"}')
    assert weights(await client.receive(most=4)) == [0, 250, 500]
    await host.kill()
    assert (await client.receive()).ended == "reset"
    client.close()
    assert host.downloading == []
    await host.start()
    assert await names(host) == ["demo:latest"]
    host.pull_seconds = 0.0
    assert weights(await pull(host))[0] == 0


async def test_layers_that_are_here_already_are_not_downloaded(host: Simulator) -> None:
    host.registry.add(replace(BIG, name="other", blob=BIG.weights, system="Be other."))
    await pull(host)
    before = host.downloaded
    received = await pull(host, "other")
    assert weights(received) == [1000]
    assert host.downloaded == before + 1


async def test_a_pull_of_what_has_changed_replaces_the_model(host: Simulator) -> None:
    await pull(host)
    host.registry.add(replace(BIG, system="Be another."))
    statuses = [frame["status"] for frame in (await pull(host)).frames]
    assert statuses[-3:] == ["writing manifest", "removing unused layers", "success"]
    assert (await ask(host.url, "POST", "/api/show", {"model": "big"})).json["system"] == "Be another."


async def test_the_older_field_names_the_model(host: Simulator) -> None:
    received = await ask(host.url, "POST", "/api/pull", {"name": "BIG", "stream": False})
    assert received.json == {"status": "success"}
    assert await names(host) == ["demo:latest", "BIG:latest"]


FAILURES = [
    (Unreachable(), 'pull model manifest: Get "https://registry.ollama.ai/v2/library/big/manifests/latest": dial tcp '),
    (PlainHTTP(), 'pull model manifest: Get "https://registry.ollama.ai/v2/library/big/manifests/latest": tls: '),
    (Broken(418, "tea"), "pull model manifest: 418: tea"),
    (Corrupt(), "digest mismatch, file must be downloaded again: want sha256:"),
]


@pytest.mark.parametrize(("failure", "text"), FAILURES)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_registry_can_fail(host: Simulator, failure: Any, text: str, stream: bool) -> None:
    host.registry.fail("big", failure)
    received = await pull(host, stream=stream)
    assert received.status == (200 if stream else 500)
    assert received.frames[-1]["error"].startswith(text)
    assert (await names(host), WEIGHTS in host.blobs) == (["demo:latest"], False)
    host.registry.fail("big", None)
    assert (await pull(host, stream=False)).json == {"status": "success"}


async def test_what_goes_wrong_on_order_goes_wrong_here_too(host: Simulator) -> None:
    host.script(
        Cut(2, end="reset", path="/api/pull"),
        error_line(1, "disk on fire", path="/api/pull"),
        Reply(500, path="/api/pull"),
        Cut(1, end="hang", path="/api/pull"),
        Hang(path="/api/pull"),
    )
    broken = await pull(host)
    assert (broken.ended, len(broken.pieces)) == ("reset", 2)
    await host.wait_until(lambda: host.downloading == [])
    assert (await pull(host)).frames[-1] == {"error": "disk on fire"}
    assert (await pull(host)).status == 500
    silent, hung = Pull(host), Pull(host)
    await host.wait_until(lambda: len(host.requests) == 5)
    await silent.leave()
    await hung.leave()
    await host.wait_idle()
    assert await names(host) == ["demo:latest"]


# --- push -------------------------------------------------------------------------------------------------------------


async def test_what_one_host_pushes_another_can_pull() -> None:
    registry = Registry()
    mine = replace(BIG, name="me/mine:v1")
    async with Simulator(models=[mine], registry=registry) as one, Simulator(models=[], registry=registry) as other:
        received = await ask(one.url, "POST", "/api/push", {"model": "me/mine:v1"})
        assert received.frames[-1] == {"status": "success"}
        assert (await pull(other, "me/mine:v1", stream=False)).json == {"status": "success"}
        listed = [(await ask(host.url, "GET", "/api/tags")).json["models"][0]["digest"] for host in (one, other)]
    assert listed[0] == listed[1]


async def test_a_push_tells_how_far_it_is_and_sends_only_what_the_registry_lacks() -> None:
    async with Simulator(models=[BIG], registry=[], pull_steps=2) as host:
        first = await ask(host.url, "POST", "/api/push", {"model": "big"})
        second = await ask(host.url, "POST", "/api/push", {"name": "big"})
    assert weights(first) == [0, 500, 1000]
    assert weights(second) == [1000]
    assert [frame["status"] for frame in second.frames[-2:]] == ["pushing manifest", "success"]


@pytest.mark.parametrize(
    ("failure", "text"),
    [(PlainHTTP(), "tls: first record does not look like a TLS handshake"), (Broken(503), "503: ")],
)
async def test_a_push_to_a_registry_that_fails(failure: Any, text: str) -> None:
    async with Simulator(models=[BIG], registry=Registry()) as host:
        host.registry.fail("big", failure)
        received = await ask(host.url, "POST", "/api/push", {"model": "big", "stream": False})
    assert (received.status, received.json["error"].endswith(text)) == (500, True)
    assert host.registry.models == {}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("nope", "open /usr/share/ollama/.ollama/models/manifests/registry.ollama.ai/library/nope/latest: no such "),
        ("a/b/c/d/e", "unqualified name: a/b/c/d/e:latest"),
        ("a/b/c/d/e:f", "unqualified name: a/b/c/d/e:f"),
    ],
)
async def test_a_push_of_what_is_not_here(host: Simulator, name: str, error: str) -> None:
    received = await ask(host.url, "POST", "/api/push", {"model": name})
    assert [frame["status"] for frame in received.frames[:-1]] == ["retrieving manifest", "couldn't retrieve manifest"]
    assert received.frames[-1]["error"].startswith(error)


async def test_a_push_whose_client_leaves_changes_nothing() -> None:
    async with Simulator(models=[BIG], registry=Registry(), pull_seconds=3600.0) as host:
        await ask(host.url, "POST", "/api/push", {"model": "big"}, most=2)
        await host.wait_idle()
        assert (host.requests[0].ended, host.registry.models) == ("cancelled", {})


def test_a_registry_takes_no_malformed_name() -> None:
    with pytest.raises(ValueError, match="not the name of a model"):
        Registry().fail("a/b/c/d/e", Corrupt())
