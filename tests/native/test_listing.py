"""What the fleet is and has, told as if it were one Ollama."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

import pytest
from msgspec.structs import replace
from ollama import AsyncClient

from adapters.ollama.native.listing import encode_tags
from gateway.api.native import listing
from gateway.config import KeySettings, ModelSettings
from gateway.hop import Timeouts
from gateway.simulator import Simulator, named
from gateway.simulator.faults import Hang, Reply
from tests.running import HostSettings, running

[LLAMA] = named("llama3.2")
[QWEN] = named("qwen3")
OTHER_LLAMA = replace(LLAMA, system="Be brief.")


@pytest.fixture
async def old():
    async with Simulator(models=[LLAMA, QWEN], version="0.24.0") as host:
        yield host


@pytest.fixture
async def new():
    async with Simulator(models=[LLAMA], version="0.33.0") as host:
        yield host


def models(answer):
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    return {model["name"]: model for model in answer.json()["models"]}


async def test_each_model_is_listed_once_with_the_hosts_that_have_it(old, new):
    async with running(old, new) as gateway:
        listed = models(await gateway.client.get("/api/tags"))

    assert {name: model["hosts"] for name, model in listed.items()} == {
        "llama3.2:latest": ["host-0", "host-1"],
        "qwen3:latest": ["host-0"],
    }
    assert all("digests" not in model and "alias_of" not in model for model in listed.values())


async def test_an_entry_is_what_a_host_says_of_the_model(new):
    async with running(new) as gateway:
        listed = models(await gateway.client.get("/api/tags"))["llama3.2:latest"]
        own = models(await gateway.client.get(f"{new.url}/api/tags"))["llama3.2:latest"]

    assert list(listed.items()) == [*own.items(), ("hosts", ["host-0"])]


async def test_digests_are_told_where_they_differ(old):
    async with Simulator(models=[OTHER_LLAMA]) as new, running(old, new) as gateway:
        listed = models(await gateway.client.get("/api/tags"))["llama3.2:latest"]

    assert listed["digests"] == {"host-0": LLAMA.digest, "host-1": OTHER_LLAMA.digest}
    assert LLAMA.digest != OTHER_LLAMA.digest
    assert listed["digest"] in listed["digests"].values()


async def test_an_alias_is_listed_when_a_host_has_its_model(old, new):
    settings = {"llama3.2": ModelSettings(aliases=("gpt-4o-mini",)), "gone": ModelSettings(aliases=("gpt-4o",))}
    async with running(old, new, models=settings) as gateway:
        listed = models(await gateway.client.get("/api/tags"))

    assert listed.keys() == {"llama3.2:latest", "qwen3:latest", "gpt-4o-mini"}
    assert listed["gpt-4o-mini"]["model"] == "gpt-4o-mini"
    assert listed["gpt-4o-mini"]["alias_of"] == "llama3.2:latest"


async def test_what_is_in_memory_is_told_of_each_host(old, new):
    async with running(old, new) as gateway:
        for host in (old, new):
            await gateway.client.post(f"{host.url}/api/chat", json={"model": "llama3.2"})
        await gateway.client.post(f"{old.url}/api/chat", json={"model": "qwen3"})
        await gateway.seen()
        answer = await gateway.client.get("/api/ps")

    assert sorted((model["name"], model["host"]) for model in answer.json()["models"]) == [
        ("llama3.2:latest", "host-0"),
        ("llama3.2:latest", "host-1"),
        ("qwen3:latest", "host-0"),
    ]
    assert {"size", "digest", "details", "expires_at", "size_vram", "context_length"} <= answer.json()["models"][
        0
    ].keys()


async def test_clients_of_ollama_read_both_lists(old, new):
    async with running(old, new) as gateway, AsyncClient(gateway.url) as client:
        await client.generate("qwen3", "")
        await gateway.seen()
        listed, loaded = await client.list(), await client.ps()

    assert {model.model for model in listed.models} == {"llama3.2:latest", "qwen3:latest"}
    assert [model.model for model in loaded.models] == ["qwen3:latest"]


async def test_the_version_is_the_lowest_of_the_hosts_that_are_up(old, new):
    async with running(old, new) as gateway:
        both = (await gateway.client.get("/api/version")).content
        await old.kill()
        await gateway.seen()
        one = (await gateway.client.get("/api/version")).content

    assert (both, one) == (b'{"version":"0.24.0"}', b'{"version":"0.33.0"}')


async def test_the_demo_host_has_no_say_in_the_version_where_another_host_is_up():
    async with Simulator(version="0.34.1") as real:
        async with running(real, demo=Simulator(version="0.33.0")) as gateway:
            beside = (await gateway.client.get("/api/version")).json()
        async with running(demo=Simulator(version="0.33.0")) as gateway:
            alone = (await gateway.client.get("/api/version")).json()

    assert (beside, alone) == ({"version": "0.34.1"}, {"version": "0.33.0"})


@pytest.mark.parametrize("disabled", [(True, False), (False, True), (True, True)])
async def test_a_host_that_may_use_the_cloud_speaks_for_the_fleet(old, new, disabled):
    bodies = [b'{"cloud":{"disabled":%b,"source":"none"}}' % (b"true" if off else b"false") for off in disabled]
    for host, body in zip((old, new), bodies, strict=True):
        host.script(Reply(status=200, body=body, path="/api/status"))
    async with running(old, new) as gateway:
        answer = await gateway.client.get("/api/status")

    assert answer.status_code == 200
    assert answer.json()["cloud"]["disabled"] is all(disabled)


async def test_a_host_that_is_too_old_for_a_status_does_not_hide_one_that_tells(old, new):
    old.script(Reply(status=404, body=b"404 page not found", path="/api/status"))
    async with running(old, new) as gateway:
        answer = await gateway.client.get("/api/status")

    assert (answer.status_code, answer.headers["x-gateway-host"]) == (200, "host-1")


@pytest.mark.parametrize("path", ["/", "/api/version", "/api/tags"])
async def test_head_is_answered_as_get_without_a_body(new, path):
    async with running(new) as gateway:
        get, head = await gateway.client.get(path), await gateway.client.head(path)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    assert head.headers["content-length"] == str(len(get.content))


async def test_the_sign_of_life_needs_no_key_and_everything_else_does(new):
    async with running(new, keys=(KeySettings(name="alice", secret="sk-alice-0123456789"),)) as gateway:
        sign = await gateway.client.get("/")
        refused = [await gateway.client.get(f"/api/{path}") for path in ("version", "tags", "ps", "status")]

    assert (sign.status_code, sign.text) == (200, "Ollama is running")
    assert [answer.status_code for answer in refused] == [401] * 4
    assert {*refused[0].json()} == {"error"}


@pytest.mark.parametrize("path", ["/api/version", "/api/tags", "/api/ps", "/api/status"])
async def test_when_no_host_is_up_that_is_said(path):
    async with running(HostSettings(url="http://127.0.0.1:9")) as gateway:
        answer = await gateway.client.get(path)

    assert answer.status_code == 503
    assert answer.json() == {"error": "None of the hosts is up. Try again later."}
    assert answer.headers["retry-after"] == "5"


def statuses(*hosts):
    return [sum(request.path == "/api/status" for request in host.requests) for host in hosts]


async def test_many_who_ask_for_a_status_are_one_call_to_each_host(old, new):
    async with running(old, new) as gateway:
        answers = await asyncio.gather(*(gateway.client.get("/api/status") for _ in range(10)))
        answers.append(await gateway.client.get("/api/status"))

    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    assert {answer.headers["x-gateway-host"] for answer in answers} == {answers[0].headers["x-gateway-host"]}
    assert statuses(old, new) == [1, 1]


async def test_that_no_host_tells_a_status_is_remembered_too(old, monkeypatch):
    monkeypatch.setattr(listing, "PATIENCE", Timeouts(total=0.2))
    old.script(Hang(path="/api/status", times=None))
    async with running(old) as gateway:
        answers = await asyncio.gather(*(gateway.client.get("/api/status") for _ in range(10)))

    assert {answer.status_code for answer in answers} == {503}
    assert statuses(old) == [1]


async def test_a_status_is_asked_for_again_after_a_while(old, monkeypatch):
    monkeypatch.setattr(listing, "REMEMBERED", 0.0)
    async with running(old) as gateway:
        for _ in range(3):
            await gateway.client.get("/api/status")

    assert statuses(old) == [3]


async def test_a_host_that_hangs_does_not_keep_the_others_from_telling_a_status(old, new, monkeypatch):
    monkeypatch.setattr(listing, "PATIENCE", Timeouts(total=0.2))
    old.script(Hang(path="/api/status"))
    async with running(old, new) as gateway:
        answer = await gateway.client.get("/api/status")

    assert answer.json() == {"cloud": {"disabled": True, "source": "env"}}


async def test_the_list_is_made_anew_only_when_models_change(old, new, monkeypatch):
    encode = Mock(wraps=encode_tags)
    monkeypatch.setattr(listing, "encode_tags", encode)
    async with running(old, new) as gateway:
        first = await gateway.client.get("/api/tags")
        await gateway.client.post("/api/chat", json={"model": "qwen3"})
        await gateway.seen()
        second = await gateway.client.get("/api/tags")
        new.add(QWEN)
        await gateway.seen()
        third = models(await gateway.client.get("/api/tags"))

    assert first.content == second.content
    assert third["qwen3:latest"]["hosts"] == ["host-0", "host-1"]
    assert encode.call_count == 2


async def test_a_model_that_a_host_lacks_may_be_on_one_that_was_never_up(new):
    never = HostSettings(url="http://127.0.0.1:9")
    async with running(new, never) as gateway:
        unknown = await gateway.client.post("/api/chat", json={"model": "nope"})
        nameless = await gateway.client.post("/api/generate", json={})
        cloud = await gateway.client.post("/api/chat", json={"model": "gpt-oss:120b-cloud", "messages": []})

    assert unknown.status_code == 503
    assert unknown.json()["error"].startswith("No host that is up has the model 'nope'; one host is down")
    assert (nameless.status_code, nameless.json()) == (404, {"error": "model '' not found"})
    assert cloud.status_code == 403
    assert "cloud is disabled" in cloud.json()["error"]
