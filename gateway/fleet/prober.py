"""Looks at one host, on a timer and whenever someone has a reason."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from msgspec.structs import replace

from adapters.errors import GatewayError, HostError, HostUnreachable, OutOfDescriptors
from adapters.ollama import inventory
from adapters.ollama.names import canonical
from gateway.fleet.asking import Asker
from gateway.fleet.host import View
from gateway.log import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.types import Model, Profile, Resident
    from gateway.fleet.host import Host

TIMEOUT = 5.0
"""Seconds that a host may take to say what it has. Ollama answers this even while it loads or is busy."""

PAUSE = 0.25
"""Seconds between two looks at the least, however many reasons there are, unless someone is in a hurry."""

FIRST_WAIT = 1.0
"""Seconds until a host that has just gone down is looked at again; twice as long each time after that."""


class Prober:
    """Looks at one host again and again, and says what it saw.

    A host that cannot be reached is down. After any other failure it is looked at once more before it is down, for a
    host that is in use may fail to answer a question about itself.

    Args:
        host: The host; the prober reads its view and does not change it.
        interval: Seconds between two looks when nothing happens.
        see: Called with what is known of the host from now on.
    """

    def __init__(self, host: Host, interval: float, see: Callable[[View], None]) -> None:
        self._host = host
        self._interval = interval
        self._see = see
        self._asker = Asker(host, TIMEOUT)
        self._reason = asyncio.Event()
        self._hurry = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None
        self._wait = FIRST_WAIT
        self._said: tuple[bytes, dict[str, Model]] | None = None
        self._doubted = False
        self._lack: GatewayError | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name=f"prober of {self._host.label}")

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def close(self) -> None:
        """Close the connections; nothing can be asked any more."""
        await self._asker.close()

    def look_now(self) -> None:
        """There is a reason to look before the timer says so."""
        self._reason.set()

    def look(self, *, hurry: bool = False) -> asyncio.Future[None]:
        """Look now; the future is done when a look that begins from here on is over.

        Args:
            hurry: Whether not even the pause after the last look is kept. Not for what any caller can bring about.
        """
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self.look_now()
        if hurry:
            self._hurry.set()
        return waiting

    async def profile(self, model: str) -> Profile:
        """Ask the host for the whole of one model.

        Raises:
            HostError: It does not tell.
            OutOfDescriptors: The gateway cannot ask.
        """
        return inventory.decode_show(await self._asker.ask(inventory.show(model)))

    async def _run(self) -> None:
        while True:
            self._reason.clear()
            self._hurry.clear()
            waiting, self._waiting = self._waiting, []
            wait = await self._look()
            for future in waiting:
                if not future.done():
                    future.set_result(None)
            pause = min(PAUSE, wait)
            await _wait(self._hurry, pause)
            await _wait(self._reason, wait - pause)

    async def _look(self) -> float:
        """Look once; return the seconds until the next look."""
        before, self._lack = self._lack, None
        try:
            view = await self._ask()
        except OutOfDescriptors as error:
            self._lack = error
            wait = self._interval
        except HostError as error:
            wait = self._failed(error)
        except Exception as error:  # noqa: BLE001 - a look that fails in an unforeseen way must not be the last one
            log("look at host failed", "error", exception=error, host=self._host.label)
            wait = self._failed(HostError("A look at the host failed."))
        else:
            self._wait, self._doubted = FIRST_WAIT, False
            self._see(view)
            wait = self._interval
        if self._lack is not None and before is None:
            reason = self._lack.detail or self._lack.message
            log("look at host incomplete", "warning", host=self._host.label, error=self._lack.code, reason=reason)
        return wait

    async def _ask(self) -> View:
        """Return what the host says of itself.

        Raises:
            HostError: It does not say it.
            OutOfDescriptors: The gateway cannot ask.
        """
        asking = version, tags, residents = (
            asyncio.create_task(self._asker.ask(inventory.VERSION)),
            asyncio.create_task(self._asker.ask(inventory.TAGS)),
            asyncio.create_task(self._residents()),
        )
        # All may end, each within its own time: to cancel httpcore2 in a TLS handshake would leave its socket open.
        await asyncio.gather(*asking, return_exceptions=True)
        return View(
            up=True,
            version=inventory.decode_version(version.result()),
            models=self._models(tags.result()),
            residents=residents.result(),
        )

    def _models(self, tags: bytes) -> dict[str, Model]:
        """Return what the host has; what it said before means the same, and a thousand models take milliseconds."""
        if self._said is None or self._said[0] != tags:
            self._said = tags, {canonical(model.name): model for model in inventory.decode_tags(tags)}
        return self._said[1]

    async def _residents(self) -> dict[str, Resident]:
        """Return what is in the host's memory. It only makes routing better, so what was known before will do too."""
        try:
            loaded = inventory.decode_ps(await self._asker.ask(inventory.PS))
        except HostError as error:
            self._lack = error
            return self._host.view.residents
        return {canonical(model.name): model for model in loaded}

    def _failed(self, error: HostError) -> float:
        """Judge a look that failed; return the seconds until the next one."""
        view = self._host.view
        if view.up and not self._doubted and not isinstance(error, HostUnreachable):
            self._doubted, self._lack = True, error
            return min(PAUSE, self._interval)
        self._lack = None
        self._see(replace(view, up=False, residents={}, error=error))
        # Most hosts are restarted within moments, so the first looks come soon.
        wait, self._wait = min(self._wait, self._interval), min(2 * self._wait, self._interval)
        return wait


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait until something happens, and no longer than this."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
