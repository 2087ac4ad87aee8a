"""One gateway with keys for all tests, in front of three hosts."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from gateway.config import KeySettings, ModelSettings
from gateway.simulator import Registry, Simulator, demo
from tests.conformance.clients.proof import pytest_runtest_call as pytest_runtest_call
from tests.conformance.clients.uses import WAYS
from tests.e2e.cast import KINDS, models
from tests.gateway.simulator.tiny import tiny_embed
from tests.native.calling import Caller
from tests.running import HostSettings, Running, eventually, running

ALICE = "sk-alice-0123456789"
BOB = "sk-bob-0123456789"
KEYS = (KeySettings(name="alice", secret=ALICE, scopes=("admin",)), KeySettings(name="bob", secret=BOB))
"""Alice may manage models, Bob may only use them."""

ALIASES = {"demo": ModelSettings(aliases=("gpt-4o-mini",))}

MISTRAL = replace(demo, name="mistral", size=1_000_000)
"""A model that no host has."""

VERSIONS = {"old": "0.24.0", "new": "0.33.0", "jinja": "0.33.0"}


class Host:
    """One of the hosts.

    Attributes:
        simulator: What plays it.
        name: Its name in the configuration.
        caller: The client on the host itself.
    """

    def __init__(self, simulator: Simulator, name: str, caller: Caller) -> None:
        self.simulator = simulator
        self.name = name
        self.caller = caller

    def bodies(self, path: str) -> list[bytes]:
        """Return the bodies of the requests that came to a path."""
        return [request.body for request in self.simulator.requests if request.path == path]


class Fleet:
    """Three hosts that have not all the same models, and the gateway before them.

    Attributes:
        hosts: The hosts by name: `old` of version 0.24, `new` of version 0.33, and `jinja`, another one of that version
            whose models leave their prompts to Jinja. Each has the models of its kind; all have `demo`, and all but
            `jinja` have `tiny-embed`.
        registry: Where they all pull from and push to; it has `mistral`.
        gateway: The gateway.
        alice: The client with a key that may manage models.
        bob: The one with a key that may not.
    """

    def __init__(
        self, hosts: dict[str, Host], registry: Registry, gateway: Running, alice: Caller, bob: Caller
    ) -> None:
        self.hosts = hosts
        self.registry = registry
        self.gateway = gateway
        self.alice = alice
        self.bob = bob

    def of_kind(self, kind: str) -> Host:
        """Return the host that has the models of a kind."""
        return self.hosts[{"0.24": "old", "0.33": "new", "0.33-jinja": "jinja"}[kind]]

    def with_model(self, name: str) -> list[str]:
        """Return the names of the hosts that have a model."""
        return [host.name for host in self.hosts.values() if host.simulator.find(name)]

    def renew(self) -> None:
        """Forget what was asked, and be quick and well."""
        for host in self.hosts.values():
            host.simulator.requests.clear()
            host.simulator.heal()
            host.simulator.token_seconds = 0.0

    async def settled(self) -> None:
        """Wait until nothing is running any more."""
        for host in self.hosts.values():
            await host.simulator.wait_idle()
        await eventually(lambda: self.gateway.in_flight() == 0)


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Fleet]:
    """Serve in front of the three hosts."""
    async with AsyncExitStack() as stack:
        hosts, registry = {}, Registry(MISTRAL)
        for (name, version), kind in zip(VERSIONS.items(), KINDS, strict=True):
            here = (*models(kind), demo, *(() if name == "jinja" else (tiny_embed,)))
            simulator = await stack.enter_async_context(
                Simulator(version=version, models=here, registry=registry, max_loaded=10)
            )
            caller = await stack.enter_async_context(Caller(simulator.url, noted=False))
            hosts[name] = Host(simulator, name, caller)
        places = [HostSettings(url=host.simulator.url, name=name, parallel=4) for name, host in hosts.items()]
        gateway = await stack.enter_async_context(running(*places, keys=KEYS, models=ALIASES, **settings))
        alice, bob = [await stack.enter_async_context(Caller(gateway.url, key)) for key in (ALICE, BOB)]
        yield Fleet(hosts, registry, gateway, alice, bob)


@pytest.fixture(scope="package", autouse=True)
def _alone() -> Iterator[None]:
    """Leave the clients no settings of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("OLLAMA_") or name.lower().endswith("_proxy"):
                patch.delenv(name)
        yield


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def served() -> AsyncIterator[Fleet]:
    async with serving() as fleet:
        yield fleet


@pytest_asyncio.fixture(loop_scope="package")
async def fleet(served: Fleet) -> AsyncIterator[Fleet]:
    """The hosts as new; after the test nothing may still be running."""
    served.renew()
    yield served
    await served.settled()


@pytest_asyncio.fixture(loop_scope="package")
async def changing() -> AsyncIterator[Fleet]:
    """Hosts of its own for a test that changes what they have."""
    async with serving() as fleet:
        yield fleet
        await fleet.settled()


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Any:
    """All ways of asking; tests of methods that do not stream ask for `WHOLE` of them."""
    return request.param


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param
