"""Looks names up, each in a thread of its own that nobody waits for.

The system's resolver blocks. While a name server is silent it keeps its thread, for half a minute and more, long after
whoever asked has given up. In a pool such threads would take the places of other names, and an interpreter that stops
would wait for them: it joins the threads of every pool, but not daemons.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Awaitable, Callable

from msgspec import Struct

from adapters.errors import GatewayBusy
from gateway.hop.dial import alternate

MOST = 256
"""Names that are looked up at once, those that nobody asks for any more included. Each has a thread."""

Resolve = Callable[[str], Awaitable[list[str]]]
"""Returns the addresses of a name in the order in which to try them; OSError or UnicodeError when it has none."""


class _LookUp(Struct, frozen=True):
    """A name that is being looked up.

    Attributes:
        answer: The addresses, or why there are none.
        until: When the name server counts as silent.
    """

    answer: asyncio.Future[list[str] | Exception]
    until: float


class Resolver:
    """Looks names up.

    A name is looked up once for all who ask for it at one time. When its server has been silent for longer than one who
    asks may wait, the name is refused at once until the system gives up.

    Args:
        patience: Seconds that whoever asks may wait.
        ask: Returns the addresses of a name, and blocks until then; the system's resolver when not given.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        patience: float,
        *,
        ask: Callable[[str], list[str]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._patience = patience
        self._ask = ask or ask_system
        self._clock = clock
        self._running: dict[str, _LookUp] = {}

    async def __call__(self, name: str) -> list[str]:
        """Return the addresses of a name in the order in which to try them.

        Raises:
            OSError: It has none, or its server is silent.
            UnicodeError: It cannot be a name.
            GatewayBusy: Too many names are being looked up.
        """
        running = self._running.get(name)
        if running is None:
            running = self._start(name)
        elif self._clock() >= running.until:
            raise OSError("its name server is silent")
        await asyncio.wait([running.answer])  # who is cancelled here takes the answer from nobody else
        found = running.answer.result()
        if isinstance(found, Exception):
            raise found
        return found

    def _start(self, name: str) -> _LookUp:
        if len(self._running) >= MOST:
            raise _busy(f"{MOST} names are being looked up")
        loop = asyncio.get_running_loop()
        started = _LookUp(loop.create_future(), self._clock() + self._patience)

        def end(found: list[str] | Exception) -> None:
            del self._running[name]
            started.answer.set_result(found)

        def run() -> None:
            found: list[str] | Exception
            try:
                found = self._ask(name)
            except Exception as error:  # noqa: BLE001 - it is raised where the answer is waited for
                found = error
            with contextlib.suppress(RuntimeError):  # the event loop is closed, and with it all who could wait
                loop.call_soon_threadsafe(end, found)

        try:
            threading.Thread(target=run, name=f"look-up of {name}", daemon=True).start()
        except RuntimeError as error:
            raise _busy(str(error)) from error
        self._running[name] = started
        return started


def ask_system(name: str) -> list[str]:
    """Return the addresses of a name as the system knows them."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return alternate([(family, address) for family, _, _, _, address in found])


def _busy(detail: str) -> GatewayBusy:
    return GatewayBusy("The gateway looks up as many names of images' hosts as it can. Try again later.", detail=detail)
