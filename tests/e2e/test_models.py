"""What callers are told of models, as OpenAI's SDK gets it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import openai
import pytest
from msgspec.structs import replace

from gateway.config import KeySettings, ModelSettings
from gateway.simulator import SimulatedModel, Simulator, demo
from gateway.simulator.faults import Reply
from tests.conformance.rows import DELETE_MODEL, shows
from tests.e2e.calling import Caller, calling, said
from tests.gateway.simulator.tiny import tiny_chat, tiny_embed, tiny_native, tiny_plain
from tests.running import HostSettings, running

SHOW = "/api/show"


class Drifted(SimulatedModel, frozen=True, kw_only=True):
    """A model whose name stands for other weights than on other hosts."""

    @property
    def digest(self) -> str:
        return "d" * 64


async def shown(caller: Caller, model: str) -> dict[str, Any]:
    """Return what is told of a model by retrieve; the list tells the same."""
    found = (await caller.client.models.retrieve(model)).model_dump(exclude_unset=True)
    listed = {each.id: each.model_dump(exclude_unset=True) async for each in caller.client.models.list()}
    assert listed[found["id"]] == found
    return found


async def test_everything_that_is_known_of_a_model_is_told() -> None:
    model = replace(tiny_chat, name="team/chat:v1")
    async with Simulator(models=[model]) as host, calling(HostSettings(url=host.url, name="gpu-1")) as caller:
        found = await shown(caller, "team/chat:v1")

    assert found == {
        "id": "team/chat:v1",
        "object": "model",
        "created": host.modified_at(model) // 10**9,
        "owned_by": "team",
        "hosts": ["gpu-1"],
        "loaded_on": [],
        "digest": model.digest,
        "size": model.size,
        "context_length": 32768,
        "max_model_len": 32768,
        "capabilities": ["completion", "insert", "tools"],
    }


@pytest.mark.parametrize("version", ["0.24.0", "0.33.0"])
@pytest.mark.parametrize(
    ("model", "capabilities"),
    [
        (tiny_chat, ["completion", "insert", "tools"]),
        (tiny_native, ["completion", "tools"]),
        (tiny_plain, ["completion"]),
        (tiny_embed, ["embedding"]),
        (demo, sorted(demo.capabilities)),
    ],
)
async def test_capabilities_are_those_of_the_whole_model(
    version: str, model: SimulatedModel, capabilities: list[str]
) -> None:
    """Those in a host's list of models are not: they lack what is in a Jinja template."""
    async with Simulator(models=[model], version=version) as host, calling(host) as caller:
        found = await shown(caller, model.name)

    assert found["capabilities"] == capabilities


async def test_what_is_not_known_is_not_told() -> None:
    async with Simulator() as host:
        host.script(Reply(500, path=SHOW, times=None))
        async with calling(host) as caller:
            found = await shown(caller, "demo")

    assert "capabilities" not in found
    assert found["context_length"] == demo.context_length


async def test_a_length_that_the_list_of_a_host_lacks_comes_from_the_whole_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.simulator.inventory._details", _without_lengths)
    async with Simulator() as host, calling(host) as caller:
        found = await shown(caller, "demo")

    assert found["context_length"] == found["max_model_len"] == demo.context_length


def _without_lengths(*_: Any, **__: Any) -> dict[str, str]:
    return {"family": "llama"}


async def test_a_loaded_model_says_where() -> None:
    first, second = Simulator(models=[tiny_chat]), Simulator(models=[tiny_chat])
    async with first, second, calling(first, second, probe_interval=3600) as caller:
        before = await shown(caller, "tiny-chat")
        completion = await caller.client.chat.completions.with_raw_response.create(
            model="tiny-chat", messages=said("hi")
        )
        await caller.gateway.seen()
        after = await shown(caller, "tiny-chat")

    assert (before["hosts"], before["loaded_on"]) == (["host-0", "host-1"], [])
    assert after["loaded_on"] == [completion.headers["x-gateway-host"]]


async def test_other_weights_under_one_name_are_shown_host_by_host() -> None:
    drifted = Drifted(name="tiny-chat", capabilities=("completion", "vision"), context_length=4096)
    same, other = Simulator(models=[tiny_chat]), Simulator(models=[drifted])
    async with same, other, calling(same, other) as caller:
        found = await shown(caller, "tiny-chat")

    assert "digest" not in found
    assert found["digests"] == {"host-0": tiny_chat.digest, "host-1": "d" * 64}
    assert found["capabilities"] == ["completion", "insert", "tools", "vision"]


async def test_the_same_weights_on_several_hosts_are_one_digest() -> None:
    old, new = Simulator(models=[tiny_chat], version="0.24.0"), Simulator(models=[tiny_chat], version="0.33.0")
    async with old, new, calling(old, new) as caller:
        found = await shown(caller, "tiny-chat")

    assert found["digest"] == tiny_chat.digest
    assert "digests" not in found


async def test_an_alias_is_told_of_as_its_model() -> None:
    aliases = {"tiny-chat": ModelSettings(aliases=("gpt-4o",))}
    async with Simulator(models=[tiny_chat]) as host, calling(host, models=aliases) as caller:
        model, alias = [await shown(caller, name) for name in ("tiny-chat", "gpt-4o")]

    assert alias == {**model, "id": "gpt-4o"}


async def test_no_models_are_an_empty_list_that_can_be_gone_through() -> None:
    async with Simulator(models=[]) as host, calling(host) as caller:
        listed = [model async for model in caller.client.models.list()]
        in_a_thread = await asyncio.to_thread(lambda: list(caller.sync.models.list()))
        answer = await caller.gateway.client.get("/v1/models")

    assert listed == in_a_thread == []
    assert answer.json() == {"object": "list", "data": []}


async def test_the_models_of_a_host_that_is_down_are_not_told_of() -> None:
    async with Simulator(models=[tiny_chat]) as up, Simulator(models=[tiny_plain]) as down, calling(up, down) as caller:
        await down.kill()
        await caller.gateway.seen()
        listed = [model.id async for model in caller.client.models.list()]

    assert listed == ["tiny-chat:latest"]


@pytest.mark.parametrize("name", ["tiny-chat", "TINY-CHAT:latest", "gpt-4o"])
@pytest.mark.parametrize(
    ("count", "reason"), [(1, "the host that has it is down"), (3, "3 hosts have it, and none of them is up")]
)
async def test_a_model_of_hosts_that_are_down_is_told_of_as_a_chat_tells(count: int, reason: str, name: str) -> None:
    aliases = {"tiny-chat": ModelSettings(aliases=("gpt-4o",))}
    async with AsyncExitStack() as stack:
        down = [await stack.enter_async_context(Simulator(models=[tiny_chat])) for _ in range(count)]
        up = await stack.enter_async_context(Simulator(models=[tiny_plain]))
        gateway = await stack.enter_async_context(running(*down, up, models=aliases))
        for host in down:
            await host.kill()
        await gateway.seen()
        found = await gateway.client.get(f"/v1/models/{name}")
        head = await gateway.client.head(f"/v1/models/{name}")
        chat = await gateway.chat(model=name)

    assert (found.status_code, found.json()["error"]["code"]) == (503, "no_host_available")
    assert reason in found.json()["error"]["message"]
    assert found.json() == chat.json()
    assert found.headers["retry-after"] == head.headers["retry-after"] == "5"
    assert (head.status_code, head.content) == (503, b"")


async def test_a_host_that_was_never_up_may_have_the_model() -> None:
    async with Simulator(models=[tiny_plain]) as up:
        async with Simulator() as gone:
            url = gone.url
        async with running(up, url) as gateway:
            found = await gateway.client.get("/v1/models/tiny-chat")
            there = await gateway.client.get("/v1/models/tiny-plain")

    assert (found.status_code, found.json()["error"]["code"]) == (503, "no_host_available")
    assert "one host is down, and may have it" in found.json()["error"]["message"]
    assert there.status_code == 200


async def test_a_model_that_no_host_has_is_not_found() -> None:
    async with Simulator(models=[tiny_chat]) as host, running(host) as gateway:
        found = await gateway.client.get("/v1/models/tiny-chart")

    assert (found.status_code, found.json()["error"]["code"]) == (404, "model_not_found")
    assert "Did you mean tiny-chat?" in found.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/demo", "/v1/models/DEMO:latest"])
async def test_head_tells_the_same_without_a_body(path: str) -> None:
    async with Simulator() as host, running(host) as gateway:
        whole, head = await gateway.client.get(path), await gateway.client.head(path)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    assert head.headers["content-type"] == "application/json"


# --- delete -----------------------------------------------------------------------------------------------------------


KEYS = (
    KeySettings(name="alice", secret="sk-alice-0123456789", scopes=("admin",)),
    KeySettings(name="bob", secret="sk-bob-0123456789"),
)


@shows(DELETE_MODEL, "honoured", "model")
async def test_a_model_is_deleted_on_every_host() -> None:
    async with AsyncExitStack() as stack:
        hosts = [await stack.enter_async_context(Simulator(models=models)) for models in ([demo], [demo, tiny_chat])]
        caller = await stack.enter_async_context(calling(*hosts, keys=KEYS, api_key="sk-alice-0123456789"))
        deleted = await caller.client.models.delete("DEMO")
        listed = [model.id async for model in caller.client.models.list()]
        deleted_too = await asyncio.to_thread(caller.sync.models.delete, "tiny-chat")
        with pytest.raises(openai.NotFoundError, match="'demo' does not exist here") as caught:
            await caller.client.models.delete("demo")

    assert deleted.model_dump() == {"id": "DEMO", "object": "model", "deleted": True}
    assert (deleted_too.id, deleted_too.deleted) == ("tiny-chat", True)
    assert listed == ["tiny-chat:latest"]
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert [[*host.models] for host in hosts] == [[], []]


async def test_to_delete_an_alias_does_not_delete_its_model() -> None:
    aliases = {"demo": ModelSettings(aliases=("gpt-4o-mini",))}
    async with Simulator() as host, calling(host, models=aliases) as caller:
        with pytest.raises(openai.NotFoundError, match="'gpt-4o-mini' is an alias of 'demo' here; name") as caught:
            await caller.client.models.delete("gpt-4o-mini")

    assert caught.value.code == "model_not_found"
    assert [model.name for model in host.models.values()] == ["demo:latest"]


@pytest.mark.parametrize("model", ["demo", "nobody/has:this"])
async def test_who_may_only_ask_models_deletes_none(model: str) -> None:
    async with Simulator() as host, calling(host, keys=KEYS, api_key="sk-bob-0123456789") as caller:
        with pytest.raises(openai.PermissionDeniedError, match=r"lacks the scope `admin`") as caught:
            await caller.client.models.delete(model)
        with pytest.raises(openai.PermissionDeniedError):
            await asyncio.to_thread(caller.sync.models.delete, model)
        listed = [model.id async for model in caller.client.models.list()]

    assert (caught.value.code, caught.value.type) == ("forbidden", "invalid_request_error")
    assert listed == ["demo:latest"]
    assert {request.method for request in host.requests} == {"GET", "POST"}
    assert len(caller.answers) == 3


async def test_what_hosts_fail_of_is_told_of_each_by_name() -> None:
    async with Simulator() as one, Simulator() as two, calling(one, two) as caller:
        two.script(Reply(500, b'{"error":"disk on fire"}', path="/api/delete"))
        with pytest.raises(openai.InternalServerError, match="host-1: disk on fire") as caught:
            await caller.client.with_options(max_retries=0).models.delete("demo")

    assert (caught.value.code, caught.value.message.partition(" - ")[2]) == (
        "upstream_error",
        "host-1: disk on fire. It is done on host-0.",
    )


async def test_a_wrong_key_is_refused_before_that() -> None:
    keys = (KeySettings(name="alice", secret="sk-alice-0123456789"),)
    async with Simulator() as host, calling(host, keys=keys, api_key="sk-mallory-0123456789") as caller:
        with pytest.raises(openai.AuthenticationError) as caught:
            await caller.client.models.delete("demo")

    assert caught.value.code == "invalid_api_key"
