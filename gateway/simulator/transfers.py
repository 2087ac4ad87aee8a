"""Downloads: several requests for the same layer share one, and it ends when the last of them has gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from gateway.simulator.incoming import SimulatedRequest
from gateway.simulator.model import Layer

if TYPE_CHECKING:
    from gateway.simulator.host import Host


class _Download:
    """A layer on its way.

    Attributes:
        layer: The layer.
        steps: In how many steps it comes.
        done: How many steps are done. A download that was given up goes on from there.
        users: Who waits for it.
        changed: Set, and replaced by another, with every step.
        task: What brings it; None while nobody waits.
    """

    def __init__(self, layer: Layer, steps: int) -> None:
        self.layer = layer
        self.steps = steps
        self.done = 0
        self.users: set[SimulatedRequest] = set()
        self.changed = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    @property
    def completed(self) -> int:
        """How many bytes are there."""
        return self.layer.size * self.done // self.steps

    def advance(self) -> None:
        """Count a step, and tell those who wait."""
        self.done += 1
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


class Downloads:
    """The layers that a host is downloading.

    Args:
        host: The host. Its `pull_seconds` and `pull_steps` say how the weights of a model come; the rest takes no time.

    Attributes:
        finished: How many layers have been downloaded so far.
    """

    def __init__(self, host: Host) -> None:
        self.finished = 0
        self._host = host
        self._downloads: dict[str, _Download] = {}

    @property
    def running(self) -> list[str]:
        """The digests of the layers that are being downloaded now."""
        return [digest for digest, download in self._downloads.items() if download.task is not None]

    async def fetch(self, layer: Layer, request: SimulatedRequest) -> AsyncIterator[int]:
        """Download a layer, or share its download, and yield how many bytes are there until all are.

        Who leaves before the end must `leave`.
        """
        download = self._downloads.get(layer.digest)
        if download is None:
            steps = max(self._host.pull_steps, 1) if layer.kind == "model" else 1
            download = self._downloads[layer.digest] = _Download(layer, steps)
        download.users.add(request)
        if download.task is None:
            download.task = asyncio.create_task(self._run(download))
        while True:
            changed = download.changed
            yield download.completed
            if download.done == download.steps:
                return
            await changed.wait()

    def leave(self, request: SimulatedRequest) -> None:
        """Take note that a request has ended. A download that nobody waits for any more is given up."""
        for download in self._downloads.values():
            download.users.discard(request)
            if not download.users and download.task is not None:
                download.task.cancel()
                download.task = None

    def forget(self) -> None:
        """Throw away what there is of downloads that were given up."""
        self._downloads = {digest: each for digest, each in self._downloads.items() if each.task is not None}

    async def _run(self, download: _Download) -> None:
        while download.done < download.steps:
            seconds = self._host.pull_seconds if download.layer.kind == "model" else 0.0
            await asyncio.sleep(seconds / download.steps)
            if download.done == download.steps - 1:
                self._host.keep(download.layer)
                del self._downloads[download.layer.digest]
                self.finished += 1
            download.advance()
