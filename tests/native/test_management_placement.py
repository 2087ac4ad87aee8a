"""Which hosts get a model when the configuration lists them, when they come back, and when a name is taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from hashlib import sha256

import pytest

from gateway.config import ModelSettings
from gateway.simulator import SimulatedRequest, Simulator
from gateway.simulator.faults import End
from tests.gateway.simulator.tiny import tiny_chat
from tests.native.managing import asked, fleet, have, manage, statuses
from tests.running import running

PULL, CREATE, COPY, DELETE = "/api/pull", "/api/create", "/api/copy", "/api/delete"
GGUF = b"GGUF and more"
DIGEST = f"sha256:{sha256(GGUF).hexdigest()}"
BLOB = f"/api/blobs/{DIGEST}"

LISTED = {"placement": ("host-0", "host-1")}


# --- hosts that the configuration lists -------------------------------------------------------------------------------


async def test_of_the_hosts_that_are_listed_those_that_have_the_source_make_a_model():
    async with fleet(settings=LISTED) as (gateway, hosts):
        hosts[1].add(tiny_chat)
        hosts[2].add(tiny_chat)
        answer = await manage(gateway, CREATE, **{"model": "mine", "from": "tiny-chat"})

    assert answer.headers["x-gateway-host"] == "host-1"
    assert answer.headers["x-gateway-route"] == "placement, 1 host"
    assert statuses(answer)[-1] == "success"
    assert have(hosts, "mine") == [False, True, False]


@pytest.mark.parametrize("noticed", [True, False])
async def test_a_host_that_is_listed_and_down_is_told_of_and_is_no_failure(noticed):
    async with fleet(settings=LISTED) as (gateway, hosts):
        await hosts[1].kill()
        if noticed:
            await gateway.seen()
        answer = await manage(gateway, PULL, model="tiny-chat")

    assert statuses(answer)[-1] == "success"
    assert answer.headers["x-gateway-hosts-down"] == "host-1"
    assert have(hosts, "tiny-chat") == [True, False, False]


async def test_a_host_that_the_caller_names_must_do_it_though_it_is_listed_too():
    async with fleet(settings=LISTED) as (gateway, hosts):
        await hosts[1].kill()
        answer = await manage(gateway, PULL, "host-0,host-1", model="tiny-chat")

    assert statuses(answer)[-1] == "host-1: The host is down. It is done on host-0."


# --- files, of which nobody knows what they are for -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("general", "own", "holding", "making"),
    [
        ("any", None, [True, False, False], [True, False, False]),
        ("any", ("host-1",), [True, True, True], [False, True, False]),
        (("host-0",), ("host-2",), [True, False, True], [False, False, True]),
        (("host-0",), "any", [True, True, True], [True, False, False]),
        (("host-0",), "all", [True, True, True], [True, True, True]),
    ],
)
async def test_a_model_is_made_where_its_files_are(general, own, holding, making):
    settings = {"placement": general, "models": {"mine": ModelSettings(placement=own)}}
    async with fleet(settings=settings) as (gateway, hosts):
        uploaded = await gateway.client.post(BLOB, content=GGUF)
        held = [DIGEST in host.blobs for host in hosts]
        there = await gateway.client.head(BLOB)
        answer = await manage(gateway, CREATE, model="mine", files={"m.gguf": DIGEST})

    assert (uploaded.status_code, there.status_code) == (201, 200)
    assert held == holding
    assert statuses(answer)[-1] == "success"
    assert have(hosts, "mine") == making


async def test_where_any_host_will_do_those_without_the_files_are_not_even_tried():
    async with fleet(settings={"placement": "any"}) as (gateway, hosts):
        await gateway.client.post(BLOB, content=GGUF, headers={"x-gateway-hosts": "host-1"})
        answer = await manage(gateway, CREATE, model="mine", files={"m.gguf": DIGEST}, quantize="nonsense")

    assert [len(asked(host, CREATE)) for host in hosts] == [0, 1, 0]
    assert "error" in answer.text


# --- hosts that come back ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [PULL, CREATE, COPY, DELETE, BLOB])
async def test_a_host_that_came_back_a_moment_ago_takes_part(monkeypatch, path):
    monkeypatch.setattr("gateway.fleet.prober.FIRST_WAIT", 600.0)
    body = {"model": "demo", "from": "demo", "source": "demo", "destination": "mine"}
    async with fleet(2, settings={"probe_interval": 600.0}) as (gateway, hosts):
        await hosts[1].kill()
        await gateway.seen()
        await hosts[1].start()
        if path == BLOB:
            answer = await gateway.client.post(path, content=GGUF)
        else:
            answer = await manage(gateway, path, **body)

    assert answer.status_code in (200, 201)
    assert answer.headers["x-gateway-host"] == "host-0, host-1"
    assert "x-gateway-hosts-down" not in answer.headers


class Slow(Simulator):
    """A host that takes its time to say what it has."""

    async def answer(self, request: SimulatedRequest, *, keep_alive: bool) -> AsyncGenerator[bytes | End, None]:
        if request.path == "/api/tags":
            await asyncio.sleep(1.5)
        async for step in super().answer(request, keep_alive=keep_alive):
            yield step


async def test_a_host_that_takes_long_to_list_its_models_is_waited_for(monkeypatch):
    monkeypatch.setattr("gateway.management.managed.LOOK", 0.1)
    async with Slow(registry=[tiny_chat]) as host, running(host, probe_interval=600.0) as gateway:
        await manage(gateway, PULL, model="tiny-chat", stream=False)
        answer = await gateway.client.get("/api/tags")

    assert "tiny-chat:latest" in [model["name"] for model in answer.json()["models"]]


# --- names that are taken ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (PULL, {"model": "gpt-4o-mini"}),
        (PULL, {"name": "GPT-4o-mini:latest", "stream": False}),
        (CREATE, {"model": "gpt-4o-mini", "from": "demo"}),
        (COPY, {"source": "demo", "destination": "gpt-4o-mini"}),
    ],
)
async def test_a_model_does_not_get_the_name_of_an_alias_for_nobody_could_ask_it(path, body):
    settings = {"models": {"demo": ModelSettings(aliases=("gpt-4o-mini",))}}
    async with fleet(2, settings=settings) as (gateway, hosts):
        answer = await manage(gateway, path, **body)

    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]
    assert "is an alias of 'demo' here, so a model of this name would never be asked." in answer.json()["error"]
    assert [asked(host, path) for host in hosts] == [[], []]


async def test_what_has_the_name_of_an_alias_all_the_same_can_be_copied_and_deleted():
    settings = {"models": {"demo": ModelSettings(aliases=("tiny-chat",))}}
    async with fleet(1, settings=settings) as (gateway, hosts):
        hosts[0].add(tiny_chat)
        copied = await manage(gateway, COPY, source="tiny-chat", destination="mine")
        deleted = await manage(gateway, DELETE, model="tiny-chat")

    assert (copied.status_code, deleted.status_code) == (200, 200)
    assert [model.name for model in hosts[0].models.values()] == ["demo:latest", "mine:latest"]


# --- the model of the simulated host ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (PULL, {"model": "demo"}, 400),
        (CREATE, {"model": "Demo:latest", "from": "tiny-chat"}, 400),
        (COPY, {"source": "tiny-chat", "destination": "demo"}, 400),
        (CREATE, {"model": "mine", "from": "demo"}, 400),
        ("/api/push", {"model": "demo"}, 400),
        (COPY, {"source": "demo", "destination": "mine"}, 404),
        (DELETE, {"model": "demo"}, 404),
    ],
)
async def test_the_model_of_the_simulated_host_is_not_managed(path, body, status):
    async with Simulator(models=[tiny_chat]) as host, running(host, demo=Simulator()) as gateway:
        answer = await manage(gateway, path, **body)

    assert answer.status_code == status
    assert "is the model of the simulated host" in answer.json()["error"]
    assert "`demo: false`" in answer.json()["error"]
    assert asked(host, path) == []


async def test_a_model_of_that_name_on_a_host_can_be_copied_and_deleted():
    async with Simulator() as host, running(host, demo=Simulator()) as gateway:
        copied = await manage(gateway, COPY, source="demo", destination="mine")
        deleted = await manage(gateway, DELETE, model="demo")

    assert (copied.status_code, deleted.status_code) == (200, 200)
    assert have([host], "mine") == [True]
