"""Which paths there are, who is let in, and what a host tells of itself."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.simulator import SimulatedModel, Simulator
from gateway.simulator.wire import parts_of
from tests.gateway.simulator.client import ask

ROUTES = [
    ("GET", "/", 200),
    ("HEAD", "/", 200),
    ("GET", "/api/version?x=1", 200),
    ("HEAD", "/api/ps", 405),
    ("PUT", "/api/chat", 405),
    ("POST", "/api/pull", 400),
    ("GET", "/v1/models", 404),
    ("GET", "/api/tags/", 301),
    ("POST", "/api/chat/", 307),
]


@pytest.mark.parametrize(("method", "path", "status"), ROUTES)
async def test_a_path_is_known_or_not(method: str, path: str, status: int) -> None:
    async with Simulator() as simulator:
        received = await ask(simulator.url, method, path)
    assert received.status == status
    if status in (301, 307):
        assert received.header("Location") == path.rstrip("/")
    if status == 405:
        assert received.header("Allow")


HOSTS = [
    ("localhost", 200),
    ("127.0.0.1:1234", 200),
    ("[::1]:11434", 200),
    ("192.168.1.5", 200),
    ("0.0.0.0", 200),
    ("gpu.local", 200),
    ("host.docker.internal", 200),
    ("", 200),
    ("example.com", 403),
    ("8.8.8.8", 403),
    ("[oops", 403),
]


@pytest.mark.parametrize(("host", "status"), HOSTS)
async def test_on_loopback_the_host_header_must_name_this_machine_or_its_network(host: str, status: int) -> None:
    async with Simulator() as simulator:
        received = await ask(simulator.url, "GET", "/api/version", headers=[("Host", host)])
    assert received.status == status
    if status == 403:
        assert received.body == b""


async def test_elsewhere_the_host_header_is_not_looked_at() -> None:
    async with Simulator(host="0.0.0.0") as simulator:
        received = await ask(simulator.url, "GET", "/api/version", headers=[("Host", "example.com")])
    assert received.status == 200


ORIGINS = [
    ("http://localhost", 200),
    ("https://127.0.0.1:3000", 200),
    ("app://obsidian", 200),
    ("http://example.com", 403),
    ("chrome-extension://abc", 403),
    ("null", 403),
]


@pytest.mark.parametrize(("origin", "status"), ORIGINS)
async def test_a_page_of_elsewhere_is_refused(origin: str, status: int) -> None:
    async with Simulator() as simulator:
        received = await ask(simulator.url, "GET", "/api/version", headers=[("Origin", origin)])
    assert received.status == status
    assert received.header("Access-Control-Allow-Origin") == (origin if status == 200 else None)


async def test_a_cloud_model_is_refused_everywhere() -> None:
    async with Simulator() as simulator:
        for path in ("/api/chat", "/api/generate", "/api/embed", "/api/embeddings", "/api/show"):
            received = await ask(simulator.url, "POST", path, {"model": "demo:cloud", "messages": [{}], "prompt": "x"})
            assert received.status == 403


async def test_show_tells_what_a_caller_of_the_model_must_know() -> None:
    parameters: dict[str, Any] = {"stop": ["<a>", "<b>"], "temperature": 0.5, "use_mmap": True, "num_ctx": 8192}
    model = SimulatedModel(
        name="m",
        capabilities=("completion", "tools"),
        path="native",
        parameters=parameters,
        system="Be kind.",
        licenses=("MIT",),
        family="qwen3",
        context_length=40960,
    )
    async with Simulator(models=[model]) as simulator:
        answer = (await ask(simulator.url, "POST", "/api/show", {"model": "M", "verbose": True})).json
    assert answer["capabilities"] == ["completion", "tools"]
    assert answer["template"].startswith("{%")
    assert answer["model_info"]["qwen3.context_length"] == 40960
    assert [line.split(None, 1) for line in answer["parameters"].splitlines()] == [
        ["num_ctx", "8192"],
        ["stop", '"<a>"'],
        ["stop", '"<b>"'],
        ["temperature", "0.5"],
        ["use_mmap", "true"],
    ]


async def test_a_listing_does_not_know_what_only_a_jinja_template_can() -> None:
    capabilities = ("completion", "tools", "thinking", "vision")
    models = [
        SimulatedModel(name="n", path="native", capabilities=capabilities),
        SimulatedModel(name="r", capabilities=capabilities),
    ]
    async with Simulator(models=models) as simulator:
        listed = (await ask(simulator.url, "GET", "/api/tags")).json["models"]
    assert [model["capabilities"] for model in listed] == [["completion", "vision"], list(capabilities)]


async def test_a_model_can_be_partly_in_the_memory_of_a_gpu() -> None:
    async with Simulator(models=[SimulatedModel(name="m", size=1000, gpu_share=0.25)]) as simulator:
        await ask(simulator.url, "POST", "/api/chat", {"model": "m"})
        (model,) = (await ask(simulator.url, "GET", "/api/ps")).json["models"]
    assert (model["size"], model["size_vram"]) == (1000, 250)


def test_a_status_that_has_no_name_is_called_as_go_calls_it() -> None:
    from gateway.simulator.answers import Whole

    assert parts_of(Whole(status=499), "GET").head.startswith(b"HTTP/1.1 499 status code 499\r\n")
