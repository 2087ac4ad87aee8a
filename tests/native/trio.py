"""Three hosts with models placed unevenly, and a gateway before them that is asked in plain HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from msgspec.structs import replace

from gateway.config import ModelSettings
from gateway.fleet import prober
from gateway.simulator import Simulator
from tests.gateway.simulator.tiny import tiny_chat, tiny_embed, tiny_native, tiny_plain, tiny_think
from tests.running import HostSettings, Running, eventually, running

CHAT, GENERATE, EMBED, EMBEDDINGS, SHOW = "/api/chat", "/api/generate", "/api/embed", "/api/embeddings", "/api/show"
PATHS = (CHAT, GENERATE, EMBED, EMBEDDINGS, SHOW)
TEXT = (CHAT, GENERATE)

HI: dict[str, dict[str, Any]] = {
    CHAT: {"messages": [{"role": "user", "content": "hi"}]},
    GENERATE: {"prompt": "hi"},
    EMBED: {"input": "hi"},
    EMBEDDINGS: {"prompt": "hi"},
    SHOW: {},
}
"""What asks for something at each path, beside the model."""

see = replace(tiny_chat, name="see", capabilities=("completion", "vision"))
tuned = replace(tiny_chat, name="tuned")

SETTINGS = {
    "tuned": ModelSettings(
        aliases=("gpt-4o-mini", "our/best:v1"),
        options={"num_ctx": 2048, "temperature": 0.5},
        keep_alive="30m",
        truncate=False,
    ),
    "tiny-think": ModelSettings(aliases=("o3",), think="low"),
    "tiny-embed": ModelSettings(aliases=("text-embedding-3-small",)),
}

PLACES = {
    "old": ("0.24.0", (tiny_chat, tiny_plain, tiny_embed, tuned)),
    "new": ("0.33.0", (tiny_chat, tiny_think, see, tiny_embed)),
    "jinja": ("0.33.0", (tiny_native, tiny_chat, tuned)),
}
"""Each host's version and models. All have `tiny-chat`; the others are on one or two of them."""


class Trio:
    """The hosts and the gateway.

    Attributes:
        hosts: The hosts, by name, in the order in which they are asked first.
        gateway: The gateway.
    """

    def __init__(self, hosts: dict[str, Simulator], gateway: Running) -> None:
        self.hosts = hosts
        self.gateway = gateway

    async def ask(self, path: str, body: Any = None, /, *, headers: Any = None, **fields: Any) -> httpx2.Response:
        """Ask with a body as it is, or with fields beside those that ask for something."""
        content = body if isinstance(body, bytes) else json.dumps({**HI[path], **(body or {}), **fields}).encode()
        return await self.gateway.client.post(path, content=content, headers=headers)

    def sent(self, path: str) -> list[tuple[str, bytes]]:
        """Return which hosts were asked at a path since the gateway knows them, each with the body."""
        return [
            (name, request.body)
            for name, host in self.hosts.items()
            for request in host.requests
            if request.path == path
        ]

    def forget(self) -> None:
        """Forget what the hosts were asked."""
        for host in self.hosts.values():
            host.requests.clear()

    async def settled(self) -> None:
        """Wait until nothing is running any more."""
        for host in self.hosts.values():
            await host.wait_idle()
        await eventually(lambda: self.gateway.in_flight() == 0)

    async def renew(self) -> None:
        """Make the hosts as they were at first: quick, well, idle and with nothing in memory."""
        for host in self.hosts.values():
            host.heal()
            host.token_seconds = host.cancelled = 0
            await host.wait_idle()
            for runner in host.scheduler.resident():
                host.scheduler.expire(runner.model)
        await self.gateway.seen()
        self.forget()


@asynccontextmanager
async def trio(**settings: Any) -> AsyncIterator[Trio]:
    """Serve in front of the three hosts."""
    old, new, jinja = (Simulator(version=version, models=models) for version, models in PLACES.values())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prober, "PAUSE", 0.0)  # hosts are looked at as often as there is a reason
        async with _serving(old, new, jinja, **settings) as three:
            yield three


@asynccontextmanager
async def _serving(old: Simulator, new: Simulator, jinja: Simulator, **settings: Any) -> AsyncIterator[Trio]:
    async with old, new, jinja:
        hosts = dict(zip(PLACES, (old, new, jinja), strict=True))
        places = [HostSettings(url=host.url, name=name, parallel=4) for name, host in hosts.items()]
        async with running(*places, models=SETTINGS, **settings) as gateway:
            three = Trio(hosts, gateway)
            three.forget()
            yield three


def is_refusal(answer: httpx2.Response, status: int) -> bool:
    """Tell whether an answer is an error in Ollama's shape."""
    told = answer.json()
    return bool(
        answer.status_code == status
        and answer.headers["content-type"] in ("application/json; charset=utf-8", "application/json")
        and list(told) == ["error"]
        and isinstance(told["error"], str)
    )


def lines(answer: httpx2.Response) -> list[Any]:
    """Return the lines of a stream."""
    return [json.loads(line) for line in answer.content.splitlines()]
