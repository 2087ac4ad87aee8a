"""What the configuration says of a model counts where the caller says nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.native.trio import GENERATE, HI, SHOW, TEXT, Trio

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def sent_for(three: Trio, path: str, **asked: Any) -> Any:
    three.forget()
    await three.ask(path, **asked)
    return json.loads(three.sent(path)[0][1])


@pytest.mark.parametrize("path", TEXT)
async def test_settings_count_where_the_caller_says_nothing(three, path):
    sent = await sent_for(three, path, model="tuned")

    assert sent == HI[path] | {
        "model": "tuned",
        "options": {"num_ctx": 2048, "temperature": 0.5},
        "keep_alive": "30m",
        "truncate": False,
    }
    assert (await sent_for(three, path, model="tiny-think"))["think"] == "low"
    assert "think" not in sent


@pytest.mark.parametrize("path", TEXT)
async def test_what_the_caller_says_counts_more(three, path):
    said = {"options": {"num_ctx": 4096, "seed": 1}, "keep_alive": 60, "truncate": True}
    sent = await sent_for(three, path, model="tuned", **said)

    assert sent == HI[path] | said | {"model": "tuned", "options": {"num_ctx": 4096, "temperature": 0.5, "seed": 1}}
    assert (await sent_for(three, path, model="o3", think=False))["think"] is False


@pytest.mark.parametrize("path", TEXT)
async def test_null_says_nothing(three, path):
    nulls = {"options": None, "keep_alive": None, "truncate": None, "think": None}
    sent = await sent_for(three, path, model="tuned", **nulls)

    assert (sent["options"], sent["keep_alive"], sent["truncate"]) == (
        {"num_ctx": 2048, "temperature": 0.5},
        "30m",
        False,
    )
    assert (await sent_for(three, path, model="tuned", options={"num_ctx": None}))["options"]["num_ctx"] == 2048


async def test_settings_are_for_requests_in_which_they_mean_something(three):
    assert await sent_for(three, SHOW, model="tuned") == {"model": "tuned"}
    assert "think" not in await sent_for(three, GENERATE, model="o3", raw=True)
