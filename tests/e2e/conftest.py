"""One gateway for all tests of features, in front of an old host and a new one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from openai.types import Completion
from openai.types.chat import ChatCompletion

from gateway.config import ModelSettings
from gateway.simulator import Simulator
from tests.conformance.proof import prove
from tests.conformance.rows import shown_by
from tests.e2e.calling import Caller, calling, said
from tests.e2e.cast import KINDS, models
from tests.e2e.completing import complete
from tests.e2e.wire import SEEN
from tests.running import HostSettings, chats, eventually

Ask = Callable[..., Awaitable[ChatCompletion]]
Go = Callable[..., Awaitable[Completion]]

ALIASES = {f"chat:{kind}": ModelSettings(aliases=(f"gpt-4o-mini-{kind}",)) for kind in KINDS}


class Host:
    """One of the two hosts, with the models of one kind.

    Attributes:
        simulator: What plays it.
        kind: The tag of the models.
    """

    def __init__(self, simulator: Simulator, kind: str) -> None:
        self.simulator = simulator
        self.kind = kind

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return "old" if self.kind == "0.24" else "new"

    @property
    def native(self) -> bool:
        """Whether its models leave prompts and tool calls to llama-server."""
        return self.kind.endswith("jinja")

    @property
    def chats(self) -> list[Any]:
        """The bodies of the chats that it was asked for."""
        return chats(self.simulator)

    def model(self, name: str) -> str:
        """Return the name of one of its models."""
        return f"{name}:{self.kind}"


class Fleet:
    """The two hosts, and the caller of the gateway before them."""

    def __init__(self, old: Simulator, new: Simulator, caller: Caller) -> None:
        self.old = old
        self.new = new
        self.caller = caller

    def renew(self) -> None:
        """Forget what was asked and answered, and be quick."""
        self.caller.answers.clear()
        for host in (self.old, self.new):
            host.requests.clear()
            host.heal()
            host.cancelled = 0
            host.token_seconds = host.first_token_seconds = 0.0


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Fleet]:
    """Serve in front of the two hosts."""
    old = Simulator(version="0.24.0", models=models("0.24"), max_loaded=10)
    new = Simulator(version="0.33.0", models=(*models("0.33"), *models("0.33-jinja")), max_loaded=10)
    async with old, new:
        hosts = [HostSettings(url=host.url, name=name, parallel=4) for name, host in (("old", old), ("new", new))]
        async with calling(*hosts, models=ALIASES, **settings) as caller:
            yield Fleet(old, new, caller)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Hold what a test says that it shows to what it got."""
    SEEN.clear()
    yield
    for row in shown_by(item):
        prove(row, SEEN)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def served() -> AsyncIterator[Fleet]:
    async with serving() as fleet:
        yield fleet


@pytest_asyncio.fixture(loop_scope="package")
async def fleet(served: Fleet) -> AsyncIterator[Fleet]:
    """The hosts as new; after the test every answer that came is judged, and nothing may still be running."""
    served.renew()
    yield served
    for host in (served.old, served.new):
        await host.wait_idle()
    await eventually(lambda: served.caller.gateway.in_flight() == 0)
    served.caller.judge()


@pytest.fixture
def caller(fleet: Fleet) -> Caller:
    return fleet.caller


@pytest.fixture(params=KINDS)
def host(request: pytest.FixtureRequest, fleet: Fleet) -> Host:
    return Host(fleet.old if request.param == "0.24" else fleet.new, request.param)


@pytest.fixture(params=["sync", "async, streamed"])
def way(request: pytest.FixtureRequest) -> str:
    """Both clients and both kinds of answer; tests that need all four combinations ask for `WAYS`."""
    way: str = request.param
    return way


@pytest.fixture
def ask(host: Host, caller: Caller, way: str) -> Ask:
    """Ask a model of the host, in a way of the SDK."""

    async def ask(model: str, conversation: str | list[Any] = "hi", **fields: Any) -> ChatCompletion:
        messages = said(conversation) if isinstance(conversation, str) else conversation
        return await caller.ask(way, model=host.model(model), messages=messages, **fields)

    return ask


@pytest.fixture
def go_on(host: Host, caller: Caller, way: str) -> Go:
    """Ask a model of the host to go on with a text, in a way of the SDK."""

    async def go_on(model: str, prompt: Any = "Once upon a time", **fields: Any) -> Completion:
        return await complete(caller, way, model=host.model(model), prompt=prompt, **fields)

    return go_on
