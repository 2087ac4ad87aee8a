"""`pull` and `push`: over all hosts, told as one host would tell it."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from ollama import ProgressResponse, ResponseError

from gateway.simulator import Registry
from gateway.simulator.registry import PlainHTTP
from tests.conformance.clients.uses import PYTHON, Way, uses
from tests.native.calling import Caller, outcome, pieces, text
from tests.native.conftest import ALICE, MISTRAL, Fleet
from tests.running import eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")

HI: Any = [{"role": "user", "content": "hi"}]
EVERYWHERE = ["old", "new", "jinja"]


def judge(told: list[ProgressResponse], hosts: int, size: int = MISTRAL.size) -> None:
    """Hold a stream to what a progress bar takes: sizes that do not change, steps forward, and one end."""
    statuses = [piece.status for piece in told]
    layers = {piece.digest: [each for each in told if each.digest == piece.digest] for piece in told if piece.digest}
    assert statuses[-1] == "success"
    assert statuses.count("success") == 1
    assert size * hosts in {layer[0].total for layer in layers.values()}
    for layer in layers.values():
        assert len({piece.total for piece in layer}) == 1
        assert all((one.completed or 0) <= (other.completed or 0) for one, other in pairwise(layer))
        assert layer[-1].completed == layer[-1].total


@uses(PYTHON, "pull", "model", remark="on all hosts; sizes are sums over them")
async def test_a_model_is_pulled_by_all_hosts_and_is_there_at_once(changing: Fleet, way: Way) -> None:
    told = pieces(await changing.alice.call(way, "pull", model="mistral"))
    listed = await changing.bob.client.list()
    answer = await changing.bob.client.chat("mistral", HI)

    assert told[-1].status == "success"
    assert changing.with_model("mistral") == EVERYWHERE
    assert "mistral:latest" in {model.model for model in listed.models}
    assert text(answer).endswith("You said: hi")
    if "streamed" in way:
        assert told[0].status == "pulling manifest"
        judge(list(told), hosts=3)
    else:
        assert len(told) == 1


async def test_hosts_that_are_slow_in_different_ways(changing: Fleet) -> None:
    for steps, host in enumerate(changing.hosts.values(), start=3):
        host.simulator.pull_steps = steps * 3
        host.simulator.pull_seconds = 0.1 / steps
    told = [piece async for piece in await changing.alice.client.pull("mistral", stream=True)]

    judge(told, hosts=3)
    assert len([piece for piece in told if piece.digest]) > 5


@pytest.mark.parametrize(
    ("wish", "hosts"), [("new", ["new"]), ("old, jinja", ["old", "jinja"]), ("all", EVERYWHERE), ("any", None)]
)
@uses(
    PYTHON,
    "Client",
    "headers",
    ways=("sync", "async"),
    remark="`x-gateway-hosts` says on which hosts models are managed",
)
async def test_a_header_says_which_hosts_pull(changing: Fleet, wish: str, hosts: list[str] | None) -> None:
    async with Caller(changing.gateway.url, headers={"x-api-key": ALICE, "x-gateway-hosts": wish}) as caller:
        told = await caller.call("async, streamed", "pull", model="mistral")
    having = changing.with_model("mistral")

    judge(told, hosts=len(having))
    assert having == hosts or (hosts is None and len(having) == 1)


@uses(PYTHON, "pull", "insecure")
async def test_a_registry_without_tls(changing: Fleet, way: Way) -> None:
    changing.registry.fail("mistral", PlainHTTP())
    status, error = await outcome(changing.alice, way, "pull", model="mistral", insecure=False)
    told = pieces(await changing.alice.call(way, "pull", model="mistral", insecure=True))

    assert status == (-1 if "streamed" in way else 500)
    assert "tls: first record does not look like a TLS handshake" in error
    assert told[-1].status == "success"
    assert changing.with_model("mistral") == EVERYWHERE


@uses(PYTHON, "ResponseError", "status_code: 500", remark="a model that no registry has")
@pytest.mark.parametrize("way", ["sync", "async"])
async def test_a_model_that_no_registry_has(fleet: Fleet, way: Way) -> None:
    status, error = await outcome(fleet.alice, way, "pull", model="nobody")

    assert status == 500
    assert error.endswith("pull model manifest: file does not exist")


@pytest.mark.parametrize("way", ["sync, streamed", "async, streamed"])
async def test_a_model_that_no_registry_has_is_told_in_the_stream(fleet: Fleet, way: Way) -> None:
    status, error = await outcome(fleet.alice, way, "pull", model="nobody")

    assert status == -1
    assert error.endswith("pull model manifest: file does not exist")


async def test_one_host_that_fails_does_not_stop_the_others(changing: Fleet, way: Way) -> None:
    changing.hosts["new"].simulator.registry = Registry()
    status, error = await outcome(changing.alice, way, "pull", model="mistral")

    assert status == (-1 if "streamed" in way else 500)
    assert "new: pull model manifest: file does not exist" in error
    assert changing.with_model("mistral") == ["old", "jinja"]


async def test_a_host_that_is_down_does_not_take_part(changing: Fleet, way: Way) -> None:
    await changing.hosts["jinja"].simulator.kill()
    await changing.gateway.seen()
    told = pieces(await changing.alice.call(way, "pull", model="mistral"))
    await changing.hosts["jinja"].simulator.start()

    assert told[-1].status == "success"
    assert changing.with_model("mistral") == ["old", "new"]


async def test_a_caller_who_leaves_ends_the_download(changing: Fleet) -> None:
    hosts = [host.simulator for host in changing.hosts.values()]
    for host in hosts:
        host.pull_seconds = 100.0
    async for piece in await changing.alice.client.pull("mistral", stream=True):
        if piece.digest:
            break
    await eventually(lambda: [host.downloads.running for host in hosts] == [[], [], []])

    assert changing.with_model("mistral") == []


async def test_two_callers_share_a_download(changing: Fleet) -> None:
    for host in changing.hosts.values():
        host.simulator.pull_seconds = 0.1
    told = await asyncio.gather(*(changing.alice.call("async, streamed", "pull", model="mistral") for _ in range(2)))

    for each in told:
        judge(each, hosts=3)
    assert [host.simulator.downloads.finished for host in changing.hosts.values()] == [1, 1, 1]


@uses(PYTHON, "push", "model", "insecure", remark="by one host that has it")
async def test_a_model_is_pushed_by_one_host(changing: Fleet, way: Way) -> None:
    await changing.alice.call("async", "copy", source="chat:0.33-jinja", destination="alice/chat")
    told = pieces(await changing.alice.call(way, "push", model="alice/chat", insecure=True))

    assert told[-1].status == "success"
    assert [name for name, host in changing.hosts.items() if host.bodies("/api/push")] == ["jinja"]
    assert any(model.name.startswith("alice/chat") for model in changing.registry.models.values())
    if "streamed" in way:
        assert told[0].status == "retrieving manifest"


async def test_a_model_that_nobody_has_is_not_pushed(fleet: Fleet, way: Way) -> None:
    with pytest.raises(ResponseError, match="no such file or directory") as caught:
        await fleet.alice.call(way, "push", model="alice/nobody")

    assert caught.value.status_code == (-1 if "streamed" in way else 500)
