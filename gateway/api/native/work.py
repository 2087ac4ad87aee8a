"""A pull, push or create as an answer, whose outcome is told in its headers and in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.ollama.errors import decode_error
from adapters.ollama.native.errors import encode_line
from gateway.management.telling import note, tell

if TYPE_CHECKING:
    from adapters.errors import GatewayError
    from adapters.types import Call
    from gateway.management.job import Job
    from gateway.record import Record


class Work:
    """Makes the pieces of an answer, and being lines already they are their own encoding: its source and its encoder.

    Args:
        job: What is done.
        call: What the hosts are asked.
        record: Where it is noted what came of it.
    """

    def __init__(self, job: Job, call: Call, record: Record) -> None:
        self._job = job
        self._call = call
        self._record = record
        self._closed = False

    @property
    def ended(self) -> bool:
        """Whether the last line has been returned."""
        return self._job.ended

    @property
    def settled(self) -> bool:
        """Whether nothing more comes from the hosts; they are read to their ends before the last line."""
        return True

    async def next(self) -> bytes:
        """Return the next lines, the last of which ends the answer.

        Raises:
            GatewayError: No host said anything that could be told before this.
        """
        job, record = self._job, self._record
        try:
            lines = await job.next()
        finally:
            note(record, job.targets, job.asked, job.gone)
        if job.ended and not job.succeeded:
            record.error = decode_error(500, lines[-1], record.asked)
        return b"".join(line + b"\n" for line in lines)

    async def whole(self) -> tuple[int, bytes]:
        """Return the status, and the last line alone without a line feed, when all has ended.

        Raises:
            GatewayError: As in `next`.
        """
        last = b""
        while not self.ended:
            last = await self.next()
        return 200 if self._job.succeeded else 500, last.removesuffix(b"\n")

    def encode(self, lines: bytes) -> bytes:
        """Return lines as they are."""
        return lines

    def fail(self, error: GatewayError) -> bytes:
        """Return the line that ends the answer with an error."""
        return encode_line(error)

    async def settle(self) -> None:
        """Do nothing: all hosts have been read to their ends."""

    def close(self) -> None:
        """Let go of all hosts, and tell the log what came of it."""
        if self._closed:
            return
        self._closed = True
        job = self._job
        unfinished = job.unfinished
        job.close()
        tell(
            self._record,
            self._call,
            done=job.done,
            failed=job.without_gone(job.failed),
            unfinished=unfinished,
        )
