"""Models that talk until nobody listens, and clients that listen: for tests of who waits for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import cycle
from typing import Any

from gateway.simulator import SimulatedModel, Simulator, Token, says
from tests.gateway.simulator.client import Received, ask, chat


def endless(_prompt: object) -> Iterator[Token]:
    return cycle([Token(b"on "), Token(b"and ")])


def talker(name: str, **more: Any) -> SimulatedModel:
    return SimulatedModel(name=name, speak=endless, **more)


MODELS = [
    talker("a"),
    talker("b"),
    talker("c"),
    talker("d"),
    SimulatedModel(name="quick", speak=says("done")),
    SimulatedModel(name="vectors", capabilities=("embedding",)),
    talker("a-alias", blob="shared"),
    talker("a-other", blob="shared"),
    talker("broken", load_error="model requires more system memory"),
]


def host(**more: Any) -> Simulator:
    return Simulator(models=MODELS, **{"token_seconds": 0.001, **more})


class Talk:
    """A client that listens to an endless answer."""

    def __init__(self, simulator: Simulator, model: str, **more: Any) -> None:
        self._task = asyncio.create_task(chat(simulator.url, model=model, **more))

    async def leave(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def end(self) -> Received:
        return await self._task


async def running(simulator: Simulator, count: int) -> None:
    await simulator.wait_until(lambda: simulator.in_flight == count)


async def load(simulator: Simulator, model: str, **more: Any) -> Received:
    return await ask(simulator.url, "POST", "/api/chat", {"model": model, **more})


async def resident(simulator: Simulator) -> list[tuple[str, int]]:
    models = (await ask(simulator.url, "GET", "/api/ps")).json["models"]
    return [(model["name"], model["context_length"]) for model in models]
