"""What holds for all tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn.server
from hypothesis import settings

from gateway.log import set_up

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


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[Any]]]:
    """Return what has been logged so far."""
    monkeypatch.setattr("gateway.log._write", None)
    file = (tmp_path / "log").open("wb")
    set_up("json", file)
    yield lambda: [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    file.close()


@pytest.fixture
def broken_at_the_third(monkeypatch: pytest.MonkeyPatch) -> Callable[[type], None]:
    """Return what gives a class of encoders a defect: its third call of `encode` fails as no encoder should."""

    def give_defect(encoder: type) -> None:
        encode, calls = encoder.encode, []  # type: ignore[attr-defined]

        def break_down(self: object, pieces: object) -> object:
            calls.append(pieces)
            if len(calls) == 3:
                raise KeyError("marmalade")
            return encode(self, pieces)

        monkeypatch.setattr(encoder, "encode", break_down)

    return give_defect
