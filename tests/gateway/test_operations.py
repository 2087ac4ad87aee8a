from __future__ import annotations

import asyncio
import json
import re

import pytest

from adapters.errors import Stopping
from gateway.simulator import Simulator
from gateway.simulator.faults import Fail
from tests.running import chats, events, eventually, running


@pytest.fixture
async def host():
    async with Simulator() as host:
        yield host


async def test_ready_with_a_host_and_not_without(host):
    async with running(host, probe_interval=0.05) as gateway:
        ready = await gateway.client.get("/readyz")
        await host.kill()
        await eventually(lambda: not gateway.gateway.fleet.hosts["host-0"].view.up)
        not_ready = await gateway.client.get("/readyz")
        alive = await gateway.client.get("/healthz")

    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "hosts": {"up": 1, "down": 0}})
    assert (not_ready.status_code, not_ready.json()) == (
        503,
        {"status": "no host is up", "hosts": {"up": 0, "down": 1}},
    )
    assert alive.status_code == 200


async def test_the_demo_host_is_ready_only_where_it_is_the_only_one():
    async with Simulator() as off:
        await off.kill()
        async with running(off, demo=Simulator()) as gateway:
            beside = await gateway.client.get("/readyz")
            answer = await gateway.chat()
        async with running(demo=Simulator()) as gateway:
            alone = await gateway.client.get("/readyz")

    assert (beside.status_code, beside.json()["hosts"]) == (503, {"up": 0, "down": 1})
    assert answer.headers["x-gateway-host"] == "demo"
    assert alone.status_code == 200


async def test_a_request_writes_one_line_without_its_words(host, log):
    async with running(host) as gateway:
        answer = await gateway.chat("a secret question", stream=True, user="u-7", metadata={"a": "b"})
        await eventually(lambda: gateway.in_flight() == 0)

    (line,) = [line for line in log() if line["event"] == "request"]
    assert min(line.pop("duration_s"), line.pop("first_token_s")) > 0
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "event": "request",
        "request_id": answer.headers["x-request-id"],
        "user": "u-7",
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "model": "demo:latest",
        "host": "host-0",
        "route": "cold, 0 of 4 in flight, 1 host",
        "stream": True,
        "finish": "stop",
        "prompt_tokens": line["prompt_tokens"],
        "completion_tokens": line["completion_tokens"],
    }
    assert "secret" not in json.dumps(log())


async def test_a_failure_is_logged_with_what_the_caller_is_not_told(host, log):
    host.script(Fail(0))
    async with running(host) as gateway:
        answer = await gateway.chat()

    lines = {line["event"]: line for line in log()}
    assert lines["host failed"]["host"] == "host-0"
    assert lines["request"]["error"] == "upstream_error"
    assert lines["request"]["reason"] == answer.json()["error"]["message"]


async def test_metrics_count_what_happened(host):
    async with Simulator() as other, running(host, other) as gateway:
        await gateway.chat()
        await gateway.chat(stream=True)
        await gateway.chat(model="made-up-name")
        host.script(Fail(0))
        other.script(Fail(0))
        await gateway.chat()
        await gateway.client.get("/nowhere")
        await eventually(lambda: gateway.in_flight() == 0)
        page = await gateway.client.get("/metrics")

    assert page.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "made-up-name" not in page.text
    values = {
        name: float(value)
        for name, value in re.findall(r"^(ollama_gateway_[^ ]+) ([0-9.e+-]+)$", page.text, re.MULTILINE)
        if "_created" not in name and "_bucket" not in name
    }

    def total(name: str, *labels: str) -> float:
        return sum(
            value for key, value in values.items() if key.startswith(name) and all(label in key for label in labels)
        )

    assert total("ollama_gateway_requests_total", 'route="chat"', 'status="200"', 'model="demo:latest"') == 2
    assert total("ollama_gateway_requests_total", 'route="chat"', 'status="404"') == 1
    assert total("ollama_gateway_requests_total", 'route="chat"', 'status="502"') == 1
    assert total("ollama_gateway_requests_total", 'route=""', 'status="404"') == 1
    assert total("ollama_gateway_errors_total", 'code="model_not_found"') == 1
    assert total("ollama_gateway_errors_total", 'code="upstream_error"') == 1
    assert total("ollama_gateway_host_failures_total", 'code="upstream_error"') == 2
    assert total("ollama_gateway_in_flight") == 0
    assert total("ollama_gateway_host_up") == 2
    assert total("ollama_gateway_time_to_first_token_seconds_count") == 2
    assert total("ollama_gateway_request_duration_seconds_count") == 3
    assert total("ollama_gateway_tokens_total", 'kind="prompt"') > 0
    assert total("ollama_gateway_tokens_total", 'kind="completion"') > 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_running_answers_finish_when_the_gateway_stops(host, stream):
    host.token_seconds = 0.03
    async with running(host, grace=10) as gateway:
        answer = asyncio.create_task(gateway.chat(stream=stream))
        await eventually(lambda: host.in_flight == 1)
        gateway.server.should_exit = True
        whole = await answer

    assert whole.status_code == 200
    if stream:
        assert whole.text.endswith("data: [DONE]\n\n")
    else:
        assert whole.json()["choices"][0]["message"]["content"].endswith("You said: hi")


async def test_what_does_not_finish_in_time_is_ended_with_an_error(host):
    host.token_seconds = 0.5
    async with running(host, grace=0.2) as gateway:
        stream = asyncio.create_task(gateway.chat(stream=True))
        whole = asyncio.create_task(gateway.chat())
        await eventually(lambda: host.in_flight == 2)
        await asyncio.sleep(0.6)
        gateway.server.should_exit = True
        streamed, refused = await stream, await whole
        await eventually(lambda: host.in_flight == 0)

    assert events(streamed.text)[-1]["error"]["code"] == Stopping.default_code
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, Stopping.default_code)
    assert len(chats(host)) == 2
