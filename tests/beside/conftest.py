"""Two gateways, one in front of a host of each version that was recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from msgspec.structs import replace

from gateway.config import ModelSettings
from gateway.simulator import SimulatedModel, Simulator
from tests.beside.exchanges import VERSIONS, Ours, Theirs
from tests.gateway.simulator.tiny import tiny_chat, tiny_models, tiny_think
from tests.running import HostSettings, eventually, running

MODELS = {
    "roomy": ModelSettings(options={"num_ctx": 8192}),
    "quick": ModelSettings(think=False),
}
"""What the configuration says of models that the recordings do not have."""


def models(version: str) -> list[SimulatedModel]:
    """Return the models of the recordings, and some that differ from those in their Modelfile or in `MODELS`."""
    recorded = [model for model in tiny_models if version != "0.24" or model.path != "native"]
    return [
        *recorded,
        replace(tiny_chat, name="roomy"),
        replace(tiny_think, name="quick"),
        replace(tiny_chat, name="capped", parameters={"num_predict": 4}),
        replace(tiny_chat, name="cold", parameters={"temperature": 0}),
        replace(tiny_chat, name="hf.co/team/model"),
    ]


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def served() -> AsyncIterator[dict[str, Ours]]:
    served = {}
    async with AsyncExitStack() as stack:
        for version in VERSIONS:
            host = await stack.enter_async_context(
                Simulator(version=f"{version}.0", models=models(version), max_loaded=20)
            )
            settings = HostSettings(url=host.url, name="host", parallel=4)
            served[version] = Ours(host, await stack.enter_async_context(running(settings, models=MODELS)))
        yield served


@pytest.fixture
def theirs(request: pytest.FixtureRequest) -> Theirs:
    return Theirs(request.param)


@pytest_asyncio.fixture(loop_scope="package")
async def ours(theirs: Theirs, served: dict[str, Ours]) -> AsyncIterator[Ours]:
    """The gateway in front of a host of the version that was recorded; after the test nothing may still be running."""
    ours = served[theirs.version]
    ours.host.requests.clear()
    yield ours
    ours.host.heal()
    await ours.host.wait_idle()
    await eventually(lambda: ours.gateway.in_flight() == 0)
