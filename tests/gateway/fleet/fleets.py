"""A fleet of real sockets, without a gateway before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2

from gateway.config import HostSettings, Timeouts
from gateway.fleet import Fleet, View
from gateway.metrics import Metrics
from gateway.simulator import Simulator
from tests.running import eventually, learning


@asynccontextmanager
async def looking(*hosts: Simulator | HostSettings) -> AsyncIterator[Fleet]:
    """Look at hosts once; later only when there is a reason. They are called `host-0`, `host-1` …

    When the block begins they were also asked what their models are like.
    """
    settings = [
        host if isinstance(host, HostSettings) else HostSettings(url=host.url, name=f"host-{place}")
        for place, host in enumerate(hosts)
    ]
    fleet = Fleet(settings, timeouts=Timeouts(), interval=3600, metrics=Metrics())
    fleet.start()
    try:
        await eventually(lambda: all(host.view.up or host.view.error for host in fleet.hosts.values()))
        await eventually(lambda: not learning(fleet))
        yield fleet
    finally:
        await fleet.stop()


async def look(fleet: Fleet) -> None:
    """Look at every host once more, and wait until it was asked for what that showed."""
    async with asyncio.timeout(20):
        await asyncio.gather(*(prober.look() for prober in fleet._probers.values()))
        await eventually(lambda: not learning(fleet))


def view(fleet: Fleet) -> View:
    """Return what is known of the first host."""
    return next(iter(fleet.hosts.values())).view


def asked(host: Simulator, path: str) -> int:
    """Count what a host was asked."""
    return sum(request.path == path for request in host.requests)


async def load(host: Simulator, model: str = "demo") -> None:
    """Bring a model into a host's memory."""
    async with httpx2.AsyncClient(base_url=host.url, trust_env=False) as client:
        answer = await client.post("/api/generate", json={"model": model})
    assert answer.status_code == 200
