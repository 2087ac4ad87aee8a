"""A gateway on a real socket, in the event loop of a test, in front of simulated hosts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx2

from gateway.app import Gateway
from gateway.config import HostSettings, Settings, Timeouts
from gateway.fleet import Fleet
from gateway.serving import Server, bind
from gateway.simulator import Simulator


class Running:
    """A gateway that serves.

    Attributes:
        url: Where, without a path.
        gateway: The gateway.
        server: What serves it.
        client: A client of plain HTTP for it.
    """

    def __init__(self, url: str, gateway: Gateway, server: Server, client: httpx2.AsyncClient) -> None:
        self.url = url
        self.gateway = gateway
        self.server = server
        self.client = client

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def chat(self, text: str = "hi", *, model: str = "demo", **fields: Any) -> httpx2.Response:
        """Send a chat of one message."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        return await self.client.post("/v1/chat/completions", json=body)

    async def seen(self) -> None:
        """Wait until every host was looked at once more, and asked for what that showed."""
        await asyncio.gather(*(prober.look() for prober in self.gateway.fleet._probers.values()))
        await eventually(lambda: not learning(self.gateway.fleet))

    def in_flight(self) -> int:
        """Count the calls that hosts work on, as routing sees them."""
        return sum(calls for _, _, calls in self.gateway.fleet.at_work())


class _Server(Server):
    """A server that leaves signals to the tests' own process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def running(
    *hosts: Simulator | HostSettings | str, demo: Simulator | None = None, **settings: Any
) -> AsyncIterator[Running]:
    """Serve in front of these hosts; every one was looked at, and asked for its models, when the block begins."""
    found = []
    for place, host in enumerate(hosts):
        match host:
            case HostSettings():
                found.append(host)
            case Simulator():
                found.append(HostSettings(url=host.url, name=f"host-{place}", parallel=host.parallel))
            case str():
                found.append(HostSettings(url=host, name=f"host-{place}"))
    listener = bind("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    settings.setdefault("grace", 1.0)
    gateway = Gateway(Settings(hosts=tuple(found), demo=False, **settings), demo)
    server = _Server(
        gateway, Settings(**{key: settings[key] for key in ("grace", "receive_timeout") if key in settings})
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with httpx2.AsyncClient(base_url=url, timeout=20, trust_env=False) as client:
            while not server.started:
                await asyncio.sleep(0.005)
                if serving.done():
                    serving.result()
            while not all(host.view.up or host.view.error for host in gateway.fleet.hosts.values()):
                await asyncio.sleep(0.005)
            await eventually(lambda: not learning(gateway.fleet))
            yield Running(url, gateway, server, client)
    finally:
        server.should_exit = True
        await serving


def learning(fleet: Fleet) -> bool:
    """Tell whether hosts are being asked in the background what their models are like."""
    return any(learner.busy for learner in fleet._learners.values())


def events(body: str) -> list[Any]:
    """Return the data of server-sent events, `[DONE]` as it is."""
    return [
        data if data == "[DONE]" else json.loads(data)
        for data in (event.removeprefix("data: ") for event in body.split("\n\n"))
        if data
    ]


def text(body: str) -> str:
    """Return all text of a streamed chat."""
    return "".join(
        choice["delta"].get("content") or ""
        for event in events(body)
        if event != "[DONE]"
        for choice in event.get("choices", ())
    )


def chats(host: Simulator) -> list[Any]:
    """Return the bodies of the chats that a host was asked for."""
    return [request.json for request in host.requests if request.path == "/api/chat"]


async def leave(port: int, sent: bytes, when: Any) -> None:
    """Send a request, wait until a condition holds, and close the connection."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    await writer.drain()
    await eventually(when)
    writer.close()
    await writer.wait_closed()


async def eventually(condition: Any, seconds: float = 20.0) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


__all__ = [
    "HostSettings",
    "Running",
    "Timeouts",
    "chats",
    "events",
    "eventually",
    "learning",
    "leave",
    "running",
    "text",
]
