"""Many callers at once."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from gateway.simulator import Simulator, demo
from tests.e2e.calling import calling, said

CALLERS = 100


async def test_a_hundred_streams_at_once_each_get_their_own_answer() -> None:
    echo = replace(demo, name="echo")
    async with (
        Simulator(version="0.24.0", models=[echo], parallel=50, token_seconds=0.002) as old,
        Simulator(version="0.33.0", models=[replace(echo, path="native")], parallel=50, token_seconds=0.002) as new,
        calling(old, new) as caller,
    ):
        completions = await asyncio.gather(
            *(
                caller.ask("async, streamed", model="echo", messages=said(f"I am caller {number}"))
                for number in range(CALLERS)
            )
        )
        hosts = {answer.headers["x-gateway-host"] for answer in caller.answers}

        assert old.cancelled == new.cancelled == 0
    for number, completion in enumerate(completions):
        assert (completion.choices[0].message.content or "").endswith(f"You said: I am caller {number}")
        assert completion.choices[0].finish_reason == "stop"
    assert len({completion.id for completion in completions}) == CALLERS
    assert hosts == {"host-0", "host-1"}
