"""One gateway for all tests of a module, in front of the three hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.native.trio import Trio, trio


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def serving() -> AsyncIterator[Trio]:
    async with trio() as three:
        yield three


@pytest_asyncio.fixture(loop_scope="module")
async def three(serving: Trio) -> AsyncIterator[Trio]:
    """The hosts as new; after the test nothing may still be running."""
    await serving.renew()
    yield serving
    await serving.settled()
