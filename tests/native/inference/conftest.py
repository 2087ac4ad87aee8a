"""One gateway for all tests of a module, in front of the three hosts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.log import set_up
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


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Return what has been logged so far."""
    monkeypatch.setattr("gateway.log._write", None)
    file = (tmp_path / "log").open("wb")
    set_up("json", file)
    yield lambda: [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    file.close()
