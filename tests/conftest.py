"""What holds for all tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn.server
from hypothesis import settings

pytest_plugins = ("pytester",)

# How long an example takes depends on what else the machine does; timings are never asserted.
settings.register_profile("gateway", deadline=None)
settings.load_profile("gateway")


class _Hurried:
    """What uvicorn's server uses of asyncio, with shorter pauses."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / 20)


@pytest.fixture(autouse=True, scope="session")
def _servers_end_at_once() -> Iterator[None]:
    """Have uvicorn look more often whether it should end.

    It pauses for a tenth of a second once or twice, and tests end thousands of servers.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uvicorn.server, "asyncio", _Hurried())
        yield
