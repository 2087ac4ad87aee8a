"""`list`, `ps` and `show`: one big Ollama made of all hosts."""

from __future__ import annotations

import pytest

from tests.conformance.clients.members import WHOLE
from tests.conformance.clients.uses import PYTHON, Way, uses
from tests.e2e.cast import KINDS, models
from tests.native.conftest import Fleet

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.parametrize("way", WHOLE)]

HI = [{"role": "user", "content": "hi"}]


@uses(PYTHON, "list", remark="the models of all hosts, each once, and aliases")
async def test_the_list_has_the_models_of_all_hosts_each_once(fleet: Fleet, way: Way) -> None:
    listed = await fleet.bob.call(way, "list")

    named = [model.model for model in listed.models]
    own = [model.name for kind in KINDS for model in models(kind)]
    assert sorted(named) == sorted([*own, "demo:latest", "gpt-4o-mini", "tiny-embed:latest"])


async def test_an_entry_of_the_list_is_that_of_its_host(fleet: Fleet, way: Way, kind: str) -> None:
    listed = await fleet.bob.call(way, "list")
    itself = await fleet.of_kind(kind).caller.call(way, "list")

    found = {model.model: model for model in listed.models}
    assert [found[model.model] for model in itself.models if kind in model.model] == [
        model for model in itself.models if kind in model.model
    ]


@uses(PYTHON, "ps", remark="an entry for each host that has it in memory")
async def test_what_is_in_memory_is_told_of_every_host(fleet: Fleet, way: Way) -> None:
    for host in fleet.hosts.values():
        await host.caller.call(way, "chat", model="demo", messages=HI)
    await fleet.gateway.seen()
    running = await fleet.bob.call(way, "ps")
    itself = [await host.caller.call(way, "ps") for host in fleet.hosts.values()]

    assert sorted(model.model_dump_json() for model in running.models) == sorted(
        model.model_dump_json() for one in itself for model in one.models
    )
    assert [model.model for model in running.models].count("demo:latest") == 3


async def test_a_model_without_words_is_taken_from_the_memory_of_every_host(fleet: Fleet, way: Way) -> None:
    for host in fleet.hosts.values():
        await host.caller.call(way, "chat", model="demo", messages=HI)
    await fleet.gateway.seen()
    answer = await fleet.bob.call(way, "generate", model="demo", keep_alive=0)
    itself = [await host.caller.call(way, "ps") for host in fleet.hosts.values()]

    assert answer.done_reason == "unload"
    assert [model.model for one in itself for model in one.models if model.model == "demo:latest"] == []


@uses(PYTHON, "show", "model", remark="by a host that has it")
async def test_a_model_is_shown_by_a_host_that_has_it(fleet: Fleet, way: Way, kind: str) -> None:
    for name in ("chat", "think", "plain", "see"):
        shown = await fleet.bob.call(way, "show", model=f"{name}:{kind}")
        itself = await fleet.of_kind(kind).caller.call(way, "show", model=f"{name}:{kind}")

        assert shown == itself
        assert "completion" in shown.capabilities
