from __future__ import annotations

import asyncio

import pytest

from adapters.errors import HostUnreachable
from gateway.config import HostSettings, Timeouts
from gateway.fleet import Host, View

UP = View(up=True)
DOWN = View(up=False, error=HostUnreachable("A host cannot be reached."))

TIMES = [
    ("never looked at", {}, 1000, False),
    ("up", {0: UP}, 1000, False),
    ("down for long", {0: DOWN}, 30, True),
    ("down for a while", {0: DOWN}, 29, False),
    ("seen to be down again", {0: DOWN, 20: DOWN}, 30, True),
    ("back again", {0: DOWN, 20: UP}, 1000, False),
    ("down, up and down", {0: DOWN, 10: UP, 20: DOWN}, 49, False),
    ("down, up and down for long", {0: DOWN, 10: UP, 20: DOWN}, 50, True),
]


@pytest.mark.parametrize(("views", "moment", "lost"), [row[1:] for row in TIMES], ids=[row[0] for row in TIMES])
async def test_a_host_is_lost_when_it_has_been_down_for_so_long_without_a_break(monkeypatch, views, moment, lost):
    clock = 0.0
    monkeypatch.setattr("gateway.fleet.host.monotonic", lambda: clock)
    host = Host(HostSettings(url="http://127.0.0.1:1"), Timeouts())
    for clock, view in views.items():  # noqa: B007 - the clock reads it
        host.see(view)
    clock = moment
    waiting = asyncio.create_task(host.lost(30))
    await asyncio.sleep(0)
    done = waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await host.hop.aclose()

    assert (done, host.view) == (lost, [View(), *views.values()][-1])
