"""Puts images in place of the URLs by which a request names them."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from msgspec.structs import replace

from adapters.errors import InvalidRequest
from gateway.images.cache import Cache
from gateway.images.fetching import SEND_IT, Fetcher
from gateway.images.sharing import Sharing

if TYPE_CHECKING:
    import ssl

    from adapters.types import ChatRequest, Media, Message
    from gateway.config import Settings
    from gateway.images.resolving import Resolve

MOST = 32
"""Different images that one request may name by URL."""

AT_ONCE = 4
"""Images of one request that are fetched at once, so that those of others get their turn."""


def has_remote(request: ChatRequest) -> bool:
    """Whether a request names images by URL."""
    return any(media.url for message in request.messages for media in message.media)


class Images:
    """The images that requests name by URL.

    Args:
        settings: All settings. With its images in it a request may weigh no more than one that has brought them itself:
            `max_body`.
        resolve: Looks names up; the system's resolver when not given.
        context: How certificates are checked; by the system's authorities when not given.
    """

    def __init__(
        self, settings: Settings, *, resolve: Resolve | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        self._limit = settings.max_body
        self._sharing: Sharing | None = None
        if settings.images.fetch:
            self._sharing = Sharing(Fetcher(settings.images, resolve=resolve, context=context), Cache())

    async def fetch(self, request: ChatRequest) -> ChatRequest:
        """Return the request with its images in it; the request itself when it names none by URL.

        Raises:
            InvalidRequest: An image cannot or may not be fetched, or is none; the param is the field with its URL.
            GatewayBusy: So many are being fetched that the turn of one did not come in time.
            OutOfDescriptors: The process may not open another socket.
            Stopping: Fetches have come to their end.
        """
        named = [media for message in request.messages for media in message.media if media.url]
        if not named:
            return request
        if self._sharing is None:
            message = f"This gateway does not fetch images. {SEND_IT} Its operator can allow it: images.fetch."
            raise _refusal(message, named[0])
        wanted: dict[str, Media] = {}
        for media in named:
            wanted.setdefault(media.url, media)
            if len(wanted) > MOST:
                raise _refusal(f"A request may not name more than {MOST} images by URL. {SEND_IT}", media)
        images = await self._bring(self._sharing, wanted, Counter(media.url for media in named))
        return replace(request, messages=tuple(_fill(message, images) for message in request.messages))

    async def close(self) -> None:
        """End every fetch."""
        if self._sharing is not None:
            await self._sharing.close()

    async def _bring(self, sharing: Sharing, wanted: dict[str, Media], times: Counter[str]) -> dict[str, Media]:
        """Return images by their URLs; the first failure is the answer for all.

        Args:
            sharing: Where they come from.
            wanted: What names each, by its URL.
            times: How many times each stands in the request.
        """
        images: dict[str, Media] = {}
        room = self._limit
        turns = asyncio.Semaphore(AT_ONCE)

        async def bring(media: Media) -> None:
            nonlocal room
            async with turns:
                image = images[media.url] = await _get(sharing, media)
            room -= len(image.data) * times[media.url]
            if room < 0:
                message = f"The images of this request are larger than {self._limit} bytes, the limit here (max_body)."
                raise _refusal(message, media)

        try:
            async with asyncio.TaskGroup() as group:
                for media in wanted.values():
                    group.create_task(bring(media))
        except ExceptionGroup as failures:
            first = failures.exceptions[0]
            raise first from first.__cause__
        return images


async def _get(sharing: Sharing, media: Media) -> Media:
    try:
        return await sharing.get(media.url)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param=media.param, code=error.code, detail=error.detail) from error


def _fill(message: Message, images: dict[str, Media]) -> Message:
    if not any(media.url for media in message.media):
        return message
    return replace(message, media=tuple(images[media.url] if media.url else media for media in message.media))


def _refusal(message: str, media: Media) -> InvalidRequest:
    return InvalidRequest(message, param=media.param, code="invalid_image_url")
