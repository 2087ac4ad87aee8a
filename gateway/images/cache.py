"""Images that were fetched a short while ago."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapters.types import Media

LIFETIME = 300.0
"""Seconds that an image is kept; a conversation sends its images again with every turn."""

CAPACITY = 64 * 1024 * 1024
"""Bytes that all images that are kept may take, as base64, with their URLs."""

_ENTRY = 1024
"""Bytes that each image counts beyond itself, so that very many small ones cannot take more than is meant."""


class Cache:
    """Images by the URL that they were fetched from. When there are too many, the one longest not asked for goes.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._images: OrderedDict[str, tuple[float, Media]] = OrderedDict()
        self._size = 0

    def get(self, url: str) -> Media | None:
        """Return what was fetched from a URL, unless it is too old."""
        if (found := self._images.get(url)) is None:
            return None
        until, image = found
        if self._clock() >= until:
            self._drop(url)
            return None
        self._images.move_to_end(url)
        return image

    def put(self, url: str, image: Media) -> None:
        """Keep an image; one that is larger than everything that may be kept is not kept."""
        self._drop(url)
        if _weigh(url, image) > CAPACITY:
            return
        self._images[url] = (self._clock() + LIFETIME, image)
        self._size += _weigh(url, image)
        while self._size > CAPACITY:
            self._drop(next(iter(self._images)))

    def _drop(self, url: str) -> None:
        if found := self._images.pop(url, None):
            self._size -= _weigh(url, found[1])


def _weigh(url: str, image: Media) -> int:
    return len(url) + len(image.data) + _ENTRY
