"""The examples of the README, run as they stand there; only addresses, ports and paths are those of the test."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import httpx2
import ollama as ollama_client
import openai
import pytest
from ollama import Client
from openai import AsyncOpenAI

from gateway.simulator import Simulator, named
from tests.e2e.calling import said
from tests.e2e.programs import COMMAND, ROOT, run, serving
from tests.running import chats, running

README = (ROOT / "README.md").read_text()
ADDRESS = "http://127.0.0.1:11435"
SAID = "This is the demo model of ollama-gateway: a simulation, not a language model. You said: Hello!"


def block(language: str, mark: str) -> str:
    """Return the one block of a language that has a mark in it."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    [found] = [text for text in blocks if mark in text]
    return str(found)


def in_the_shell(script: str) -> tuple[str, ...]:
    """Return the command for a block of shell, with the gateway of this interpreter."""
    return "sh", "-c", script.replace(".venv/bin/ollama-gateway", shlex.join(COMMAND))


async def curl(script: str) -> Any:
    """Do what a block of curl says, with curl where there is one, and return the JSON of the answer."""
    if shutil.which("curl"):
        status, out, _ = await run("sh", "-c", script)
        assert status == 0
        return json.loads(out)
    program, url, *words = shlex.split(script.replace("\\\n", ""))
    given = dict(zip(words[::2], words[1::2], strict=True))
    assert program == "curl"
    assert set(given) == {"-H", "-d"}
    name, _, value = given["-H"].partition(": ")
    async with httpx2.AsyncClient(trust_env=False) as client:
        return (await client.post(url, content=given["-d"], headers={name: value})).json()


def client(url: str, api_key: str = "none") -> AsyncOpenAI:
    return AsyncOpenAI(base_url=url, api_key=api_key, http_client=httpx2.AsyncClient(trust_env=False), max_retries=0)


def test_the_commands_to_start_with_are_those_of_the_makefile() -> None:
    wanted = re.findall(r"^make (\w+)", block("sh", "make run"), re.MULTILINE)

    assert wanted == ["run", "test"]
    for target in wanted:
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


async def test_the_example_with_curl_on_what_make_run_starts() -> None:
    [started] = re.findall(r"^\t@exec \$\(BIN\)/ollama-gateway (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    async with serving(*COMMAND, *shlex.split(started)) as (_, url):
        script = block("sh", "curl")
        answer = await curl(script.replace(ADDRESS, url.removesuffix("/v1")))

    assert ADDRESS in script
    assert answer["choices"][0]["message"]["content"] == SAID
    assert answer["model"] == "demo"


async def test_the_example_with_the_client_of_ollama() -> None:
    code = block("python", "from ollama import Client")
    async with Simulator() as host, running(host) as gateway:
        status, out, error = await run(sys.executable, "-c", code.replace(ADDRESS, gateway.url))

    assert (status, error) == (0, "")
    assert out == f"{SAID}\n['demo:latest']\n"


async def test_the_example_with_the_sdk() -> None:
    code = block("python", "stream_options")
    async with Simulator() as host, running(host) as gateway:
        status, out, err = await run(sys.executable, "-W", "error", "-c", code.replace(ADDRESS, gateway.url))

        [chat] = chats(host)
    assert (status, err) == (0, "")
    assert ADDRESS in code
    assert re.fullmatch(rf"{re.escape(SAID)}\n\d+ tokens, timings: {{.*'eval_duration': \d+.*}}\n", out)
    assert chat["options"] == {"num_ctx": 8192, "top_k": 40}
    assert chat["keep_alive"] == "30m"


async def test_the_example_with_embeddings_and_completions() -> None:
    code = block("python", "embeddings.create")
    async with Simulator() as host, running(host) as gateway:
        status, out, err = await run(sys.executable, "-W", "error", "-c", code.replace(ADDRESS, gateway.url))

        generated = [request.json for request in host.requests if request.path == "/api/generate"]
    assert (status, err) == (0, "")
    assert re.fullmatch(r"2 vectors of \d+\n.+\n", out)
    assert generated[0]["context"] == []
    assert generated[1]["context"]


async def test_the_example_of_several_hosts(tmp_path: Path) -> None:
    file = tmp_path / "lan.yaml"
    check, serve = block("sh", "check --config lan.yaml").replace("lan.yaml", str(file)).splitlines()
    async with (
        Simulator(models=named("llama3.2"), version="0.24.0", parallel=4) as first,
        Simulator(models=named("llama3.2"), version="0.33.0") as second,
    ):
        settings = block("yaml", "# lan.yaml")
        for place, host in (("http://gpu-1.lan:11434", first), ("http://gpu-2.lan:11434", second)):
            assert place in settings
            settings = settings.replace(place, host.url)
        file.write_text(settings)
        status, out, _ = await run(*in_the_shell(check))
        async with serving(*in_the_shell(serve), OLLAMA_GATEWAY_HOSTS="") as (_, url), client(url) as caller:
            completion = await caller.chat.completions.create(model="gpt-4o-mini", messages=said("Hello!"))

        [chat] = [*chats(first), *chats(second)]
    assert status == 0
    assert "2 hosts" in out
    assert completion.model == "gpt-4o-mini"
    assert chat["model"] == "llama3.2:latest"
    assert (chat["options"], chat["keep_alive"]) == ({"num_ctx": 8192}, "30m")


async def test_the_example_of_models_on_several_hosts(tmp_path: Path) -> None:
    file = tmp_path / "lan.yaml"
    hosts, sync = block("sh", "ollama-gateway hosts").replace("lan.yaml", str(file)).splitlines()
    llama = named("llama3.2")
    async with Simulator(models=llama) as first, Simulator(models=[], registry=llama) as second:
        settings = block("yaml", "# lan.yaml")
        for place, host in (("http://gpu-1.lan:11434", first), ("http://gpu-2.lan:11434", second)):
            settings = settings.replace(place, host.url)
        file.write_text(settings)
        before, said_before, _ = await run(*in_the_shell(hosts))
        synced, _, _ = await run(*in_the_shell(sync))
        after, _, _ = await run(*in_the_shell(hosts))

    assert (before, synced, after) == (1, 0, 0)
    assert "lacks llama3.2\n" in said_before


async def test_the_example_with_keys() -> None:
    script, key = block("sh", "ALICE_KEY"), "0123456789abcdef" * 3
    for theirs, ours in (("$(openssl rand -hex 24)", key), ("0.0.0.0:11435", "127.0.0.1:0")):
        assert theirs in script
        script = script.replace(theirs, ours)
    async with serving(*in_the_shell(script)) as (program, url), client(url) as nobody, client(url, key) as alice:
        with pytest.raises(openai.AuthenticationError):
            await nobody.models.list()
        await alice.chat.completions.create(model="demo", messages=said("Hello!"))
        await program.logged("request")
        line = await program.logged("request")
        metrics = httpx2.get(url.replace("/v1", "/metrics"), headers={"x-api-key": key}, trust_env=False)
        with (
            Client(host=url.removesuffix("/v1"), headers={"Authorization": f"Bearer {key}"}) as ollama,
            pytest.raises(ollama_client.ResponseError) as caught,
        ):
            await asyncio.to_thread(ollama.delete, "nothing")

    assert caught.value.status_code == 503  # a key that may manage models, and no host that is up
    assert (line["caller"], line["model"], line["host"]) == ("alice", "demo:latest", "demo")
    assert line["prompt_tokens"] > 0
    assert line["completion_tokens"] > 0
    assert line["duration_s"] > 0
    assert "Hello" not in str(program.log)
    assert key not in str(program.log)
    assert (
        'ollama_gateway_requests_total{host="demo",model="demo:latest",route="chat",status="200"} 1.0' in metrics.text
    )
