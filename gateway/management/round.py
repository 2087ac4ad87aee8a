"""Several hosts that pull, push or create the same thing at the same time, read as one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from adapters.errors import GatewayError, HostBroken, HostTimeout, HostUnreachable
from adapters.framing import Lines, LineTooLongError
from adapters.ollama.answer import LINE_LIMIT
from adapters.ollama.native.errors import words
from adapters.ollama.native.progress import Progress
from gateway.exchange import ERROR_LIMIT
from gateway.management.asking import QUICK, while_it_lives, whole
from gateway.management.outcome import refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from adapters.types import Call
    from gateway.fleet import Host
    from gateway.hop import HopResponse, Timeouts

SETTLE = 30.0
"""Seconds after `success` that a host may take to end its answer, or to go on: a create that had to pull first says it
in the middle, and to close its connection would stop it."""


class Round:
    """One call to several hosts, whose answers come line by line.

    Nothing is told before a host has said its first line: until then it is not sure that there will be a stream. Lines
    are read only when somebody asks for them, so a caller who reads slowly makes the hosts wait. A host that has failed
    is read no more, and one that is dead is given up.

    `close` must be called, whatever happens.

    Args:
        hosts: Whom to ask.
        call: What to ask.
        timeouts: How long it may take.
        failed: Who cannot do it, known beforehand.
        lenient: Whether a host that cannot be reached just does not take part, as one that was known to be down.

    Attributes:
        progress: What the hosts have said; None as long as none has said a line.
    """

    def __init__(
        self,
        hosts: Sequence[Host],
        call: Call,
        timeouts: Timeouts,
        *,
        failed: Mapping[str, GatewayError],
        lenient: bool,
    ) -> None:
        self.progress: Progress | None = None
        self._errors = dict(failed)
        self._labels = [*(host.label for host in hosts), *failed]
        self._lenient = lenient
        self._answers = {host.label: _Answer(host, call, timeouts) for host in hosts}
        self._reading: dict[str, asyncio.Task[list[bytes]]] = {}
        for label in self._answers:
            self._read(label)

    @property
    def errors(self) -> dict[str, GatewayError]:
        """Why hosts' answers ended before their end, by label, in the order of the hosts."""
        return {label: self._errors[label] for label in self._labels if label in self._errors}

    @property
    def unreachable(self) -> tuple[str, ...]:
        """Those that could not be reached at all."""
        return tuple(label for label, error in self.errors.items() if isinstance(error, HostUnreachable))

    @property
    def answered(self) -> bool:
        """Whether some host said something, be it that it refuses."""
        return self.progress is not None or any(error.refusal is not None for error in self.errors.values())

    @property
    def succeeded(self) -> tuple[str, ...]:
        """Those that did it."""
        return () if self.progress is None else self.progress.succeeded

    @property
    def running(self) -> tuple[str, ...]:
        """Those that are still at work."""
        return tuple(label for label in self._answers if label in self._reading and label not in self.succeeded)

    @property
    def failed(self) -> dict[str, str]:
        """Why others failed, by label."""
        failed = {label: words(error) for label, error in self.errors.items()}
        return failed if self.progress is None else {**failed, **self.progress.failed}

    async def next(self) -> list[bytes]:
        """Return the next lines for the caller, without line feeds; none when all hosts have ended."""
        lines: list[bytes] = []
        while not lines and self._reading:
            await asyncio.wait(self._reading.values(), return_when=asyncio.FIRST_COMPLETED)
            for label, task in list(self._reading.items()):
                if task.done():
                    del self._reading[label]
                    lines += self._take(label, task)
        return lines

    def close(self) -> None:
        """Let go of all hosts. Those that still work are stopped by closing their connections."""
        for task in self._reading.values():
            task.cancel()
            task.add_done_callback(_forget)
        for answer in self._answers.values():
            answer.close()

    def _read(self, label: str, patience: float | None = None) -> None:
        self._reading[label] = asyncio.create_task(self._answers[label].next(patience), name=f"answer of {label}")

    def _take(self, label: str, task: asyncio.Task[list[bytes]]) -> list[bytes]:
        """Take what a host said, or that it ended; return the lines to tell."""
        try:
            said = task.result()
        except GatewayError as error:
            return self._fail(label, error.with_traceback(None))
        if not said:
            return self._fail(label, HostBroken("The host ended its answer without saying that it is done."))
        lines = self._hear(label, said)
        if label in self.failed:
            self._answers[label].close()
        else:
            self._read(label, SETTLE if label in self.succeeded else None)
        return lines

    def _hear(self, label: str, said: Sequence[bytes]) -> list[bytes]:
        lines: list[bytes] = []
        if self.progress is None:
            gone = self.unreachable if self._lenient else ()
            self.progress = Progress([one for one in self._labels if one not in gone])
            for one, error in self.errors.items():
                if one not in gone:
                    lines += self.progress.fail(one, words(error))
        for line in said:
            lines += self.progress.feed(label, line)
        return lines

    def _fail(self, label: str, error: GatewayError) -> list[bytes]:
        """Take that a host's answer has ended. After `success` it may end in any way, for the host is done."""
        if label in self.succeeded:
            return []
        self._errors[label] = error
        return [] if self.progress is None else self.progress.fail(label, words(error))


class _Answer:
    """Reads what one host says."""

    def __init__(self, host: Host, call: Call, timeouts: Timeouts) -> None:
        self._host = host
        self._call = call
        self._timeouts = timeouts
        self._response: HopResponse | None = None
        self._lines = Lines(LINE_LIMIT)

    async def next(self, patience: float | None) -> list[bytes]:
        """Return the next lines, without line feeds; none at the end, or when none has come for so many seconds.

        Raises:
            GatewayError: The host refuses, or does not answer any more.
        """
        try:
            async with asyncio.timeout(patience):
                return await while_it_lives(self._host, self._next())
        except TimeoutError:
            return []

    async def _next(self) -> list[bytes]:
        if self._response is None:
            self._response = await self._send()
        while data := await self._response.read():
            try:
                lines = self._lines.feed(data)
            except LineTooLongError:
                raise HostBroken(f"The host sent a line of more than {LINE_LIMIT} bytes.") from None
            if lines:
                return lines
        return self._lines.close()

    async def _send(self) -> HopResponse:
        response = await self._host.hop.send(self._call, timeouts=self._timeouts)
        if response.status == 200:
            return response
        try:
            async with asyncio.timeout(QUICK.total):
                said = await whole(response, ERROR_LIMIT)
        except TimeoutError:
            raise HostTimeout("The host refuses, and did not finish to say why.") from None
        raise refused(said)

    def close(self) -> None:
        if self._response is not None:
            self._response.close()


def _forget(task: asyncio.Task[list[bytes]]) -> None:
    """Take a failure that nobody waits for, so that the event loop does not complain of it."""
    if not task.cancelled():
        task.exception()
