"""How tests order failures, ask, and look at what came."""

from __future__ import annotations

from typing import Any, NamedTuple

import httpx2
import pytest
from msgspec.structs import replace

from gateway.simulator import Simulator
from gateway.simulator.faults import Fault
from tests.native.trio import CHAT, HI, lines
from tests.running import Running

either = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])

in_one_loop = pytest.mark.asyncio(loop_scope="module")


class Served(NamedTuple):
    """Two hosts with one model, the first of which is asked first, and an impatient gateway before them."""

    first: Simulator
    second: Simulator
    gateway: Running


async def ask(gateway: Running, path: str = CHAT, /, **fields: Any) -> httpx2.Response:
    """Ask `demo`, or another model, for something."""
    return await gateway.client.post(path, json={"model": "demo", **HI[path], **fields})


def order(host: Simulator, fault: Fault, path: str = CHAT) -> None:
    """Order a fault for the next request at a path: looks at the host do not use it up."""
    host.script(replace(fault, path=path))


def asked(host: Simulator, path: str = CHAT) -> int:
    """Return how often a host was asked at a path."""
    return sum(request.path == path for request in host.requests)


def text(answer: httpx2.Response) -> str:
    """Return all text of a chat, streamed or not."""
    return "".join(line["message"]["content"] for line in lines(answer) if "message" in line)
