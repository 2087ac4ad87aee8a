"""Looks at one host, on a timer and whenever someone has a reason."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from adapters.errors import HostError
from adapters.ollama import inventory
from adapters.ollama.names import canonical
from gateway.fleet.asking import Asker
from gateway.fleet.host import View
from gateway.log import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.types import Profile
    from gateway.fleet.host import Host

TIMEOUT = 5.0
"""Seconds that a host may take to say what it has. Ollama answers this even while it loads or is busy."""

PAUSE = 0.25
"""Seconds between two looks at the least, however many reasons there are."""


class Prober:
    """Keeps the view of one host fresh.

    Args:
        host: The host; its view is replaced.
        interval: Seconds between two looks when nothing happens.
        seen: Called after each look.
    """

    def __init__(self, host: Host, interval: float, seen: Callable[[Host], None]) -> None:
        self._host = host
        self._interval = interval
        self._seen = seen
        self._asker = Asker(host, TIMEOUT)
        self._reason = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name=f"prober of {self._host.label}")

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._asker.close()

    def look_now(self) -> None:
        """There is a reason to look before the timer says so."""
        self._reason.set()

    def look(self) -> asyncio.Future[None]:
        """Look now; the future is done when a look that begins from here on is over."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self.look_now()
        return waiting

    async def profile(self, model: str) -> Profile:
        """Ask the host for the whole of one model.

        Raises:
            HostError: It does not tell.
        """
        return inventory.decode_show(await self._asker.ask(inventory.show(model)))

    async def _run(self) -> None:
        failures = 0
        while True:
            self._reason.clear()
            waiting, self._waiting = self._waiting, []
            view = await self._look()
            failures = 0 if view.up else failures + 1
            self._tell(view)
            self._host.view = view
            self._seen(self._host)
            for future in waiting:
                if not future.done():
                    future.set_result(None)
            # A host that is down is looked at again after 1, 2, 4 … seconds: most are restarted within moments.
            wait = self._interval if view.up else min(self._interval, 2.0 ** min(failures - 1, 10))
            await asyncio.sleep(min(PAUSE, wait))
            try:
                async with asyncio.timeout(wait):
                    await self._reason.wait()
            except TimeoutError:
                pass

    async def _look(self) -> View:
        try:
            version, tags, ps = await asyncio.gather(
                self._asker.ask(inventory.VERSION), self._asker.ask(inventory.TAGS), self._asker.ask(inventory.PS)
            )
            return View(
                up=True,
                version=inventory.decode_version(version),
                models={canonical(model.name): model for model in inventory.decode_tags(tags)},
                residents={canonical(model.name): model for model in inventory.decode_ps(ps)},
            )
        except HostError as error:
            return replace(self._host.view, up=False, residents={}, error=error)
        except Exception as error:  # noqa: BLE001 - a look that fails in an unforeseen way must not be the last one
            log("look at host failed", "error", exception=error, host=self._host.label)
            return replace(self._host.view, up=False, residents={}, error=HostError("A look at the host failed."))

    def _tell(self, view: View) -> None:
        """Log a change of what matters to people, and only a change."""
        before, host = self._host.view, self._host.label
        if view.up and not before.up:
            log("host is up", host=host, version=str(view.version), models=len(view.models))
        elif not view.up and (before.up or before.error is None):
            error = view.error
            reason = (error.detail or error.message) if error else None
            log("host is down", "warning", host=host, url=self._host.settings.url, reason=reason)
