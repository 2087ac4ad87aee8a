"""Calls that manage models, over plain HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2

from gateway.simulator import Registry, Simulator, demo
from tests.gateway.simulator.tiny import tiny_chat
from tests.running import Running, running

VERSIONS = ("0.24.0", "0.33.0", "0.31.2")


@asynccontextmanager
async def fleet(count: int = 3, /, *, settings: Any = None, **made_with: Any) -> AsyncIterator[Any]:
    """Serve in front of hosts of different versions that share a registry, which has `tiny-chat`; they have `demo`."""
    registry = Registry(tiny_chat, demo)
    async with AsyncExitStack() as stack:
        hosts = [
            await stack.enter_async_context(Simulator(version=version, registry=registry, **made_with))
            for version in VERSIONS[:count]
        ]
        gateway = await stack.enter_async_context(running(*hosts, **(settings or {})))
        yield gateway, hosts


async def see_nothing(labels: Any, *, within: float) -> None:
    """Stand in for a look at the hosts: what changed a moment ago is not seen."""


async def manage(gateway: Running, path: str, hosts: str = "", /, **body: Any) -> httpx2.Response:
    """Send a call, to the hosts that are named if any are."""
    headers = {"x-gateway-hosts": hosts} if hosts else {}
    method = "DELETE" if path == "/api/delete" else "POST"
    return await gateway.client.request(method, path, json=body, headers=headers)


async def is_own(gateway: Running, twin: Simulator, path: str, body: Any) -> None:
    """Hold what comes of a call to what a host of the same kind, and in the same state, answers by itself."""
    answer = await manage(gateway, path, **body)
    async with httpx2.AsyncClient(base_url=twin.url, trust_env=False) as client:
        own = await client.post(path, json=body)
    assert (answer.status_code, answer.content) == (own.status_code, own.content)
    assert answer.headers["content-type"] == own.headers["content-type"]


def lines(answer: httpx2.Response) -> list[Any]:
    """Return the lines of a stream."""
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.text.endswith("\n")
    return [json.loads(line) for line in answer.text.splitlines()]


def statuses(answer: httpx2.Response) -> list[str]:
    """Return what the lines of a stream say, without those about layers, the error at its end included."""
    return [line.get("status") or line["error"] for line in lines(answer) if "digest" not in line]


def have(hosts: list[Simulator], model: str) -> list[bool]:
    """Tell which hosts have a model."""
    return [host.find(model) is not None for host in hosts]


def asked(host: Simulator, path: str) -> list[Any]:
    """Return the bodies of the requests that came to a path of a host."""
    return [request.json for request in host.requests if request.path == path]
