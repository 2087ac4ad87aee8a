"""`ollama-gateway hosts` in front of simulated hosts."""

from __future__ import annotations

import asyncio
import json

import pytest
from msgspec.structs import replace

from gateway.cli import main
from gateway.simulator import Simulator, demo, named
from gateway.simulator.faults import Hang, Reply
from tests.e2e.programs import COMMAND, start
from tests.gateway.commands.fleets import call, has, settings
from tests.running import running

HEAD = "HOST   STATE  VERSION  MODELS  IN MEMORY"
GONE = "http://127.0.0.1:9"
"""Where nothing listens."""


async def test_hosts_that_are_alike():
    async with Simulator(models=named("a", "b")) as one, Simulator(models=named("b", "a"), version="0.24.0") as other:
        async with running(one) as gateway:
            await gateway.chat(model="a")
        found = await call("hosts", **settings(one, other))

    assert found == (
        0,
        [HEAD, "gpu-1  up     0.33.0        2  a", "gpu-2  up     0.24.0        2  -", "", "DRIFT", "none"],
        [],
    )


async def test_hosts_that_lack_models_of_others():
    async with Simulator(models=named("a", "b:1")) as one, Simulator(models=named("c")) as other:
        status, out, err = await call("hosts", **settings(one, other))

    assert (status, err) == (1, [])
    assert out[-6:-3] == ["DRIFT", "gpu-1 lacks c", "gpu-2 lacks a, b:1"]


async def test_hosts_with_different_weights():
    other_demo = replace(demo, blob="other weights")
    async with Simulator(models=[demo]) as one, Simulator(models=[other_demo]) as other:
        status, out, err = await call("hosts", **settings(one, other))

    assert (status, err) == (1, [])
    assert f"demo differs: {demo.digest[:12]} on gpu-1, {other_demo.digest[:12]} on gpu-2" in out


@pytest.mark.parametrize(
    ("placement", "models", "status"),
    [
        ("all", {}, 1),
        ("any", {}, 0),
        ("gpu-1", {}, 0),
        ("gpu-1, gpu-2", {}, 1),
        ("gpu-2", {}, 1),
        ("all", {"A:latest": {"placement": "any"}}, 0),
        ("any", {"a": {"placement": ["gpu-2"]}}, 1),
        ("all", {"b": {"aliases": ["a"], "placement": "any"}}, 1),
    ],
)
async def test_a_host_lacks_only_what_it_is_meant_to_have(placement, models, status):
    async with Simulator(models=named("a")) as one, Simulator(models=[]) as other:
        found, out, _ = await call("hosts", **settings(one, other, placement=placement, models=models))

    assert found == status
    assert ("gpu-2 lacks a" in out) == bool(status)


async def test_a_host_that_is_off():
    async with Simulator(models=named("a")) as one:
        status, out, err = await call("hosts", **settings(one, GONE))

    assert (status, err) == (1, [])
    assert " ".join(map(str.strip, out[2:-3])) == (
        "gpu-2  down   A host cannot be reached: [Errno 111] Connect call failed ('127.0.0.1', 9). "
        "Its URL is http://127.0.0.1:9."
    )
    assert out[-3:] == ["", "DRIFT", "gpu-2 is down: what it has is not known"]


async def test_something_else_that_listens_there():
    async with Simulator() as one:
        one.script(Reply(status=404, body=b"<h1>Not here</h1>", times=None))
        status, out, err = await call("hosts", **settings(one))

    assert (status, err) == (1, [])
    assert "gpu-1  down   The host does not answer as Ollama does: " in out[1]


async def test_a_host_that_hangs_is_down_and_holds_up_nobody(monkeypatch, capsys):
    monkeypatch.setattr("gateway.fleet.prober.TIMEOUT", 0.3)
    async with Simulator(models=named("a")) as one, Simulator() as other:
        other.script(Hang(times=None))
        for name, value in settings(one, other).items():
            monkeypatch.setenv(name, value)
        status = await asyncio.to_thread(main, ["hosts"])

    out = capsys.readouterr().out
    assert status == 1
    assert "gpu-1  up " in out
    assert "gpu-2  down   A host did not answer in time: " in out


async def test_json_for_programs():
    async with Simulator(models=named("a", "b")) as one, Simulator(models=named("a")) as other:
        status, out, _ = await call("hosts", "--json", **settings(one, other, GONE))

    said = json.loads("\n".join(out))
    assert status == 1
    assert [host["up"] for host in said["hosts"]] == [True, True, False]
    assert [host["url"] for host in said["hosts"]] == [one.url, other.url, GONE]
    assert said["hosts"][0]["models"] == {model.name: model.digest for model in named("a:latest", "b:latest")}
    assert said["drift"] == {"lacking": {"gpu-2": ["b:latest"]}, "differing": {}}


async def test_hosts_are_only_looked_at():
    async with Simulator(models=named("a", "b")) as host:
        await call("hosts", **settings(host))

        assert {(request.method, request.path) for request in host.requests} == {
            ("GET", "/api/version"), ("GET", "/api/tags"), ("GET", "/api/ps"),
        }  # fmt: skip
        assert has(host) == ["a:latest", "b:latest"]


async def test_the_simulated_host_is_not_among_them():
    async with Simulator(models=named("a")) as host:
        status, out, _ = await call("hosts", **settings(host, demo=True))

    assert status == 0
    assert len(out) == 5


@pytest.mark.parametrize("command", [["hosts"], ["hosts", "--json"], ["sync", "a"]])
async def test_without_hosts_there_is_nobody_to_ask(command):
    assert await call(*command, OLLAMA_GATEWAY_HOSTS="[]") == (
        2, [], ["There are no hosts to ask: `hosts` is empty in the configuration. Add one."],
    )  # fmt: skip


@pytest.mark.parametrize("command", [["hosts"], ["sync", "a"]])
async def test_a_mistake_in_the_configuration_is_told_before_anybody_is_asked(command, tmp_path):
    file = tmp_path / "fleet.yaml"
    async with Simulator() as host:
        file.write_text(f"hosts: [{{url: '{host.url}', name: gpu-1}}]\nplacement: gpu-2\n")
        found = await call(*command, "--config", str(file))

        assert host.requests == []
    assert found == (
        2, [], [f"{file}:2: placement[0]: there is no host 'gpu-2'. The hosts are gpu-1."],
    )  # fmt: skip


async def test_a_reader_who_leaves_ends_it_without_a_word():
    async with (
        Simulator() as host,
        start("sh", "-c", '"$@" | true', "sh", *COMMAND, "hosts", **settings(host)) as shell,
    ):
        _, err = await shell.communicate()

    assert err == b""
