"""How names are looked up while some name servers are silent."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator

import pytest

from adapters.errors import GatewayBusy
from gateway.images import resolving as module
from gateway.images.fetching import AT_ONCE
from gateway.images.resolving import Resolver
from tests.gateway.images.web import PNG, fetching, serving
from tests.running import eventually

PATIENCE = 10.0


class System:
    """A resolver that blocks.

    Attributes:
        asked: The names that it was asked for.
        threads: The threads that asked it.
        failure: What it raises instead of an answer.
        now: What the clock says.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.threads: list[threading.Thread] = []
        self.failure: Exception | None = None
        self.now = 0.0
        self._speak = threading.Event()

    def __call__(self, name: str) -> list[str]:
        """Answer at once, but for a name that begins with `silent`: when it may speak."""
        self.threads.append(threading.current_thread())
        self.asked.append(name)
        if name.startswith("silent"):
            self._speak.wait()
        if self.failure:
            raise self.failure
        return ["127.0.0.1"]

    def speak(self) -> None:
        """Answer all that wait, and wait until they are answered."""
        self._speak.set()
        for thread in self.threads:
            thread.join()

    def clock(self) -> float:
        return self.now


@pytest.fixture
async def system() -> AsyncIterator[System]:
    system = System()
    yield system
    system.speak()


@pytest.fixture
def resolve(system: System) -> Resolver:
    return Resolver(PATIENCE, ask=system, clock=system.clock)


async def give_up(resolve: Resolver, system: System, *names: str) -> None:
    """Ask for names whose servers are silent, and wait no longer."""
    before = len(system.asked)
    tasks = [asyncio.create_task(resolve(name)) for name in names]
    await eventually(lambda: len(system.asked) == before + len(names))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_silent_name_servers_keep_no_image_from_being_fetched(system, monkeypatch):
    monkeypatch.setattr(module, "ask_system", system)
    async with serving() as web, fetching("127.0.0.1") as fetcher:
        for turn in range(3):
            tasks = [asyncio.create_task(fetcher.fetch(f"http://silent-{turn}-{number}/")) for number in range(AT_ONCE)]
            await eventually(lambda turn=turn: len(system.asked) == (turn + 1) * AT_ONCE)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

        assert await fetcher.fetch(web.url(name="good")) == PNG


async def test_a_name_is_looked_up_once_for_all_who_ask_at_one_time(system, resolve):
    tasks = [asyncio.create_task(resolve("silent")) for _ in range(3)]
    await eventually(lambda: system.asked)
    tasks[0].cancel()
    await asyncio.wait([tasks[0]])
    system.speak()

    assert await asyncio.gather(*tasks[1:]) == [["127.0.0.1"]] * 2
    assert system.asked == ["silent"]


async def test_a_name_is_looked_up_again_the_next_time(system, resolve):
    for _ in range(2):
        assert await resolve("name") == ["127.0.0.1"]

    assert system.asked == ["name"] * 2


async def test_a_name_whose_server_stays_silent_is_refused_at_once_and_has_one_thread(system, resolve):
    await give_up(resolve, system, "silent")
    system.now = PATIENCE
    with pytest.raises(OSError, match="its name server is silent"):
        await resolve("silent")
    assert await resolve("name") == ["127.0.0.1"]
    assert system.asked == ["silent", "name"]

    system.speak()
    await eventually(lambda: not resolve._running)
    assert await resolve("silent") == ["127.0.0.1"]


async def test_who_asks_while_there_is_hope_gets_what_another_asked_for(system, resolve):
    await give_up(resolve, system, "silent")
    system.now = PATIENCE - 1
    task = asyncio.create_task(resolve("silent"))
    await asyncio.sleep(0)
    system.speak()

    assert await task == ["127.0.0.1"]
    assert system.asked == ["silent"]


async def test_no_more_than_so_many_names_are_looked_up_at_once(system, resolve, monkeypatch):
    monkeypatch.setattr(module, "MOST", 3)
    await give_up(resolve, system, "silent-1", "silent-2", "silent-3")
    with pytest.raises(GatewayBusy) as caught:
        await resolve("name")
    assert caught.value.detail == "3 names are being looked up"
    assert len(system.threads) == 3

    system.speak()
    await eventually(lambda: not resolve._running)
    assert await resolve("name") == ["127.0.0.1"]


async def test_a_process_that_may_start_no_thread_is_busy(system, resolve, monkeypatch):
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(GatewayBusy):
            await resolve("name")

    assert await resolve("name") == ["127.0.0.1"]


@pytest.mark.parametrize("failure", [OSError("no such name"), UnicodeError("too long"), ZeroDivisionError("a defect")])
async def test_a_failure_is_raised_for_whoever_asked(system, resolve, failure):
    system.failure = failure
    tasks = [asyncio.create_task(resolve("silent")) for _ in range(2)]
    await eventually(lambda: system.asked)
    system.speak()

    assert await asyncio.gather(*tasks, return_exceptions=True) == [failure] * 2


async def test_a_failure_that_comes_when_nobody_waits_is_dropped(system, resolve):
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    system.failure = OSError("no such name")
    await give_up(resolve, system, "silent")
    system.speak()
    await eventually(lambda: not resolve._running)

    assert told == []


def test_an_answer_that_comes_after_the_event_loop_is_dropped(monkeypatch):
    failures: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    system = System()
    asyncio.run(give_up(Resolver(PATIENCE, ask=system), system, "silent"))
    system.speak()

    assert failures == []


STOPPING = """
import asyncio, socket, threading
from gateway.images.resolving import Resolver

asked = threading.Event()

def silence(*_, **__):
    asked.set()
    threading.Event().wait()

socket.getaddrinfo = silence

async def main():
    task = asyncio.create_task(Resolver(10)("images.test"))
    while not asked.is_set():
        await asyncio.sleep(0.005)
    task.cancel()

asyncio.run(main())
print("stopped", flush=True)
"""


def test_a_look_up_does_not_keep_a_process_alive():
    stopped = subprocess.run([sys.executable, "-c", STOPPING], capture_output=True, text=True, timeout=60, check=True)

    assert (stopped.stdout, stopped.stderr) == ("stopped\n", "")
