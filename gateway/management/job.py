"""One pull, push or create, from the first host that is asked to its last line."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from adapters.ollama.errors import decode_error
from adapters.ollama.native.errors import encode_line
from adapters.ollama.native.progress import reasons
from gateway.management.outcome import down, encode, verdict
from gateway.management.round import Round
from gateway.management.telling import tell

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from adapters.errors import GatewayError
    from adapters.types import Call
    from gateway.management.managed import Managed
    from gateway.management.targets import Targets
    from gateway.record import Record

_Reason = TypeVar("_Reason")


class Job:
    """Work of minutes on several hosts, all at once or one after the other, with one stream of lines about it.

    It makes the pieces of an answer, and being lines already they are their own encoding: it is the answer's source and
    its encoder. `close` must be called, whatever happens.

    Args:
        managed: The hosts.
        targets: Which of them are meant.
        call: What to ask them, as a stream. A host's answer to what is no stream comes after minutes without a word,
            like that of a host that is gone.
        record: Where it is noted what came of it.
        final: Whether what a host says is the last word; then another one is asked only if a host does not answer.

    Attributes:
        ended: Whether the last line has been returned.
        succeeded: Whether as many hosts did it as have to; known when it has ended.
    """

    def __init__(self, managed: Managed, targets: Targets, call: Call, record: Record, *, final: bool = False) -> None:
        self.ended = self.succeeded = False
        self._managed = managed
        self._targets = targets
        self._call = call
        self._record = record
        self._final = final
        self._closed = False
        self._left = list(targets.rounds)
        self._rounds: list[Round] = []
        self._notes: list[bytes] = []
        record.why = targets.why
        self._begin_round()

    @property
    def settled(self) -> bool:
        """Whether nothing more comes from the hosts; they are read to their ends before the last line."""
        return True

    async def next(self) -> bytes:
        """Return the next lines, the last of which ends the answer.

        Raises:
            GatewayError: No host said anything that could be told before this.
        """
        while True:
            lines = await self._rounds[-1].next()
            self._note_down()
            if lines:
                lines, self._notes = self._notes + lines, []
                return b"".join(line + b"\n" for line in lines)
            if not self._goes_on():
                return await self._end() + b"\n"
            self._begin_round()

    async def whole(self) -> bytes:
        """Return the last line alone, without a line feed, when all has ended.

        Raises:
            GatewayError: As in `next`.
        """
        last = b""
        while not self.ended:
            last = await self.next()
        return last.removesuffix(b"\n")

    def encode(self, lines: bytes) -> bytes:
        """Return lines as they are."""
        return lines

    def fail(self, error: GatewayError) -> bytes:
        """Return the line that ends the answer with an error."""
        return encode_line(error)

    async def settle(self) -> None:
        """Do nothing: all hosts have been read to their ends."""

    def close(self) -> None:
        """Let go of all hosts; those that still work on it are stopped. The log is told what came of it."""
        if self._closed:
            return
        self._closed = True
        for one in self._rounds:
            one.close()
        if not self.ended:
            self._managed.fleet.look(self._targets.up)
        tell(
            self._record,
            self._call,
            done=self.done,
            failed=_without(self.failed, self._gone),
            unfinished=[label for one in self._rounds for label in one.running],
        )

    @property
    def done(self) -> list[str]:
        """The hosts that did it so far."""
        return [label for one in self._rounds for label in one.succeeded]

    @property
    def failed(self) -> dict[str, str]:
        """Why others failed, by label; those that could not be reached are among them."""
        return {label: reason for one in self._rounds for label, reason in one.failed.items()}

    @property
    def _gone(self) -> list[str]:
        """The hosts that turned out to be down, where that is no failure."""
        return [] if self._targets.named else [label for one in self._rounds for label in one.unreachable]

    def _begin_round(self) -> None:
        hosts = [self._managed.hosts[label] for label in self._left.pop(0)]
        named = self._targets.named
        failed = {label: down() for label in self._targets.down} if named else {}
        self._rounds.append(Round(hosts, self._call, self._managed.timeouts, failed=failed, lenient=not named))
        record = self._record
        record.tried += len(hosts)
        record.host = ", ".join(filter(None, (record.host, *(host.label for host in hosts))))

    def _note_down(self) -> None:
        self._record.down = ", ".join((*self._targets.down, *self._gone))

    def _goes_on(self) -> bool:
        """Whether the next round is to begin after the last one; what it failed of is told with what comes then."""
        last = self._rounds[-1]
        if not self._left or last.succeeded or (self._final and last.answered):
            return False
        self._notes += [
            msgspec.json.encode({"status": f"{label} failed: {reason}"})
            for label, reason in _without(last.failed, self._gone).items()
        ]
        return True

    async def _end(self) -> bytes:
        if not any(one.progress for one in self._rounds):
            raise self._refusal()
        # Before the caller is told that it is done: what it asks next must see the change.
        await self._managed.fleet.refresh(hurry=True)
        self.succeeded = self._targets.enough(self.done, self._gone)
        *before, last = self._rounds
        failed = _without({label: reason for one in before for label, reason in one.failed.items()}, self._gone)
        if last.progress is not None and (self.succeeded or not failed):
            line = last.progress.end(enough=self.succeeded)
        else:
            line = encode(reasons(failed | _without(last.failed, self._gone)))
        if not self.succeeded:
            self._record.error = decode_error(500, line, self._record.asked)
        self.ended = True
        return line

    def _refusal(self) -> GatewayError:
        """Return why no host began; those that are down have no say when others have."""
        errors = {label: error for one in self._rounds for label, error in one.errors.items()}
        return verdict(_without(errors, self._gone) or errors)


def _without(failures: Mapping[str, _Reason], gone: Collection[str]) -> dict[str, _Reason]:
    return {label: reason for label, reason in failures.items() if label not in gone}
