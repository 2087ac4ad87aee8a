"""One host: what is known of it, and what we have running there."""

from __future__ import annotations

import asyncio
import ssl
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from adapters.errors import HostError
from adapters.ollama.inventory import Version
from gateway import hop
from gateway.hop import Hop

if TYPE_CHECKING:
    from adapters.types import Model, Resident
    from gateway.config import HostSettings, Timeouts


class View(Struct, frozen=True, kw_only=True):
    """What is known of a host.

    Attributes:
        up: Whether it answers.
        version: What it runs; None before it first answered.
        models: What it has, by canonical name. A host that is down keeps what it had.
        residents: What is in its memory, by canonical name.
        error: Why it is not up.
    """

    up: bool = False
    version: Version | None = None
    models: dict[str, Model] = {}
    residents: dict[str, Resident] = {}
    error: HostError | None = None


class Host:
    """A host of the fleet.

    Attributes:
        label: What it is called in headers, logs and metrics.
        parallel: Calls for one model that it answers at once.
        headers: What goes with everything that it is asked.
        view: What is known of it; `see` replaces it.
        hop: The connections to it.
        context: How its certificate is checked; None for plain HTTP.
    """

    def __init__(self, settings: HostSettings, timeouts: Timeouts) -> None:
        """Prepare everything; nothing is dialled.

        Raises:
            OSError: The file of certificates cannot be read, or has none.
        """
        self.settings = settings
        self.label = settings.label
        self.parallel = settings.parallel
        self.view = View()
        self.headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in settings.headers.items()]
        secure = urlsplit(settings.url).scheme == "https"
        self.context = ssl.create_default_context(cafile=settings.ca) if secure else None
        self.hop = Hop(
            settings.url,
            headers=self.headers,
            ssl=self.context,
            timeouts=hop.Timeouts(
                connect=timeouts.connect, first_byte=timeouts.first_byte, between=timeouts.between, total=timeouts.total
            ),
        )
        self.turn = 0
        self._in_flight: dict[str, int] = {}
        self._down_since: float | None = None

    def __repr__(self) -> str:
        state = "up" if self.view.up else "down"
        return f"Host({self.label}, {state}, {len(self.view.models)} models, {sum(self._in_flight.values())} in flight)"

    def see(self, view: View) -> None:
        """Replace what is known of it."""
        if view.up:
            self._down_since = None
        elif self._down_since is None:
            self._down_since = monotonic()
        self.view = view

    async def lost(self, seconds: float) -> None:
        """Return when it has been down for so many seconds without a break, which may be never."""
        while (left := seconds - self._down_for()) > 0:  # noqa: ASYNC110 - it sleeps until it can be so, and no less
            await asyncio.sleep(left)

    def in_flight(self, key: str) -> int:
        """Return how many calls for a model it works on for us."""
        return self._in_flight.get(key, 0)

    def at_work(self) -> list[tuple[str, int]]:
        """Return the models, by canonical name, for which it works, each with the number of calls."""
        return list(self._in_flight.items())

    def enter(self, key: str) -> None:
        """A call for a model begins."""
        self._in_flight[key] = self._in_flight.get(key, 0) + 1

    def leave(self, key: str) -> None:
        """A call for a model has ended, however it ended."""
        left = self._in_flight[key] - 1
        if left:
            self._in_flight[key] = left
        else:
            del self._in_flight[key]

    def _down_for(self) -> float:
        return 0.0 if self._down_since is None else monotonic() - self._down_since
