"""`ollama-gateway` as a process: it serves, stops when it is told to, and says what is wrong with its settings."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI

from tests.e2e.calling import said
from tests.e2e.programs import COMMAND, run, serving

LONG = " ".join(f"word{number}" for number in range(60))
"""About a second of the demo model, which repeats it."""


def client(url: str, **settings: Any) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=url, api_key="none", http_client=httpx2.AsyncClient(trust_env=False), **settings)


async def test_it_serves_the_demo_model_and_ends_well() -> None:
    async with serving() as (program, url), client(url) as caller:
        ready = httpx2.get(url.replace("/v1", "/readyz"), trust_env=False)
        completion = await caller.chat.completions.create(model="demo", messages=said("Hello!"))
        program.process.send_signal(signal.SIGTERM)
        status = await program.end()

    assert ready.status_code == 200
    assert (completion.choices[0].message.content or "").endswith("You said: Hello!")
    assert status == 0
    assert [line["event"] for line in program.log][-2:] == ["stopping", "stopped"]
    [request] = [line for line in program.log if line.get("path") == "/v1/chat/completions"]
    assert request["status"] == 200
    assert "Hello" not in str(program.log)


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
async def test_a_running_stream_finishes_after_the_signal_to_stop(told: signal.Signals) -> None:
    async with serving() as (program, url), client(url) as caller, client(url, max_retries=0) as late:
        async with await caller.chat.completions.create(model="demo", messages=said(LONG), stream=True) as stream:
            await anext(stream)
            program.process.send_signal(told)
            await program.logged("stopping")
            with pytest.raises(openai.APIConnectionError):
                await late.models.list()
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        status = await program.end()

    assert text.endswith(LONG)
    assert status == 0
    assert program.log[-1]["event"] == "stopped"


async def test_a_second_signal_ends_running_streams_with_an_error() -> None:
    async with serving() as (program, url), client(url) as caller:
        async with await caller.chat.completions.create(model="demo", messages=said(LONG * 10), stream=True) as stream:
            await anext(stream)
            program.process.send_signal(signal.SIGTERM)
            await program.logged("stopping")
            program.process.send_signal(signal.SIGTERM)
            with pytest.raises(openai.APIError) as caught:
                _ = [chunk async for chunk in stream]
        status = await program.end()

    assert type(caught.value) is openai.APIError
    assert (caught.value.code, caught.value.type) == ("shutting_down", "server_error")
    assert status == 0


async def test_the_end_of_the_grace_period_ends_running_answers() -> None:
    async with serving(OLLAMA_GATEWAY_GRACE="0.2") as (program, url), client(url, max_retries=0) as caller:
        async with await caller.chat.completions.create(model="demo", messages=said(LONG * 10), stream=True) as stream:
            await anext(stream)
            program.process.send_signal(signal.SIGTERM)
            with pytest.raises(openai.APIError) as caught:
                _ = [chunk async for chunk in stream]
        status = await program.end()

    assert caught.value.code == "shutting_down"
    assert status == 0


async def test_a_port_that_is_taken_is_said_to_be() -> None:
    async with serving() as (_, url):
        listen = url.removeprefix("http://").removesuffix("/v1")
        status, _, err = await run(*COMMAND, "serve", OLLAMA_GATEWAY_LISTEN=listen)

    assert status == 1
    assert f"Cannot listen on {listen}" in err
    assert "choose another port" in err
    assert "Traceback" not in err


async def test_check_tells_every_mistake_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("listen: 127.0.0.1:11435\nhots:\n  - url: http://gpu-1.lan:11434\ngrace: soon\n")
    status, out, err = await run(*COMMAND, "check", "--config", str(file))

    assert (status, out) == (2, "")
    unknown, wrong = err.splitlines()
    assert f"{file}:2: hots: unknown setting" in unknown
    assert "hosts" in unknown
    assert f"{file}:4: grace" in wrong


async def test_serve_with_mistakes_does_not_start(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("listen: 0.0.0.0:11435\n")
    status, _, err = await run(*COMMAND, "serve", "--config", str(file))

    assert status == 2
    assert f"{file}:1: listen" in err
    assert "keys" in err


async def test_check_of_good_settings(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("hosts:\n  - url: http://gpu-1.lan:11434\n  - url: http://gpu-2.lan:11434\n")
    status, out, err = await run(*COMMAND, "check", "--config", str(file))

    assert (status, err) == (0, "")
    assert "2 hosts" in out


async def test_a_command_that_does_not_exist_is_a_usage_error() -> None:
    status, _, err = await run(*COMMAND, "srve")

    assert status == 2
    assert "usage: ollama-gateway" in err
