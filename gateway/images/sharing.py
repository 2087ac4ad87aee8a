"""One fetch for all requests that want an image at one time, and the image for those that come soon after."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from adapters.errors import Stopping
from adapters.openai.media import read_image
from gateway.images.cache import Cache

if TYPE_CHECKING:
    from adapters.types import Media
    from gateway.images.fetching import Fetcher


class _Flight:
    """A fetch that is under way.

    Attributes:
        task: What does it.
        waiting: How many wait for it.
    """

    def __init__(self, task: asyncio.Task[Media]) -> None:
        self.task = task
        self.waiting = 0


class Sharing:
    """Gives images by their URLs.

    Args:
        fetcher: Fetches what is at a URL.
        cache: Where fetched images are kept.
    """

    def __init__(self, fetcher: Fetcher, cache: Cache) -> None:
        self._fetcher = fetcher
        self._cache = cache
        self._flights: dict[str, _Flight] = {}
        self._closed = False

    async def get(self, url: str) -> Media:
        """Return the image at a URL. Who is cancelled takes it from nobody else who waits for it.

        Raises:
            InvalidRequest: It cannot or may not be fetched, or is no image. There is no param yet.
            GatewayBusy: So many are being fetched that its turn did not come in time.
            OutOfDescriptors: The process may not open another socket.
            Stopping: Fetches have come to their end.
        """
        if self._closed:
            raise _stopping()
        if image := self._cache.get(url):
            return image
        flight = self._flights.get(url)
        if flight is None:
            flight = self._flights[url] = _Flight(asyncio.create_task(self._fetch(url)))
        flight.waiting += 1
        try:
            await asyncio.wait([flight.task])
            if flight.task.cancelled():
                raise _stopping()
            return flight.task.result()
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                del self._flights[url]
                flight.task.cancel()  # of no effect when the image is there; asyncio then keeps silent about a failure

    async def close(self) -> None:
        """End every fetch; whoever waits for one is told so."""
        self._closed = True
        tasks = [flight.task for flight in self._flights.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._fetcher.close()

    async def _fetch(self, url: str) -> Media:
        image = read_image(await self._fetcher.fetch(url), param="")
        self._cache.put(url, image)
        return image


def _stopping() -> Stopping:
    return Stopping("The gateway is shutting down.")
