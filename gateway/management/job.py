"""One pull, push or create, from the first host that is asked to its last line."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from adapters.ollama.native.errors import encode_error
from adapters.ollama.native.layers import Layers
from adapters.ollama.native.progress import encode_failed, reasons
from gateway.management.outcome import verdict
from gateway.management.round import Round

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapters.errors import GatewayError
    from adapters.types import Call
    from gateway.management.managed import Managed
    from gateway.management.targets import Targets

_Reason = TypeVar("_Reason")


class Job:
    """Work of minutes on several hosts, all at once or one after the other, with one sequence of lines about it.

    `close` must be called, whatever happens.

    Args:
        managed: The hosts.
        targets: Which of them are meant.
        call: What to ask them, as a stream. A host's answer to what is no stream comes after minutes without a word,
            like that of a host that is gone.
        final: Whether what a host says is the last word; then another one is asked only if a host does not answer.

    Attributes:
        targets: Which hosts are meant.
        ended: Whether the last line has been returned.
        succeeded: Whether as many hosts did it as have to; known when it has ended.
    """

    def __init__(self, managed: Managed, targets: Targets, call: Call, *, final: bool = False) -> None:
        self.targets = targets
        self.ended = self.succeeded = False
        self._managed = managed
        self._call = call
        self._final = final
        self._left = list(targets.rounds)
        self._rounds: list[Round] = []
        self._layers = Layers()
        self._notes: list[bytes] = []
        self._begin_round()

    async def next(self) -> list[bytes]:
        """Return the next lines, without line feeds. The last one says what came of it.

        Raises:
            GatewayError: No host said anything that could be told before this.
        """
        while True:
            lines = await self._rounds[-1].next()
            if lines:
                lines, self._notes = self._notes + [self._layers.tell(line) for line in lines], []
                return lines
            if not self._goes_on():
                return [await self._end()]
            self._begin_round()

    def close(self) -> None:
        """Let go of all hosts; those that still work on it are stopped."""
        for one in self._rounds:
            one.close()
        if not self.ended:
            self._managed.fleet.look(self.targets.up)

    @property
    def asked(self) -> list[str]:
        """The hosts that were asked so far."""
        return [label for labels in self.targets.rounds[: len(self._rounds)] for label in labels]

    @property
    def done(self) -> list[str]:
        """The hosts that did it so far."""
        return [label for one in self._rounds for label in one.succeeded]

    @property
    def failed(self) -> dict[str, str]:
        """Why others failed, by label; those that could not be reached are among them."""
        return {label: reason for one in self._rounds for label, reason in one.failed.items()}

    @property
    def gone(self) -> list[str]:
        """The hosts that turned out to be down, where that is no failure."""
        return [] if self.targets.named else [label for one in self._rounds for label in one.unreachable]

    @property
    def unfinished(self) -> list[str]:
        """The hosts that are at work."""
        return [label for one in self._rounds for label in one.running]

    def without_gone(self, failures: Mapping[str, _Reason]) -> dict[str, _Reason]:
        """Return those of these failures, by label, that count as such."""
        gone = self.gone
        return {label: reason for label, reason in failures.items() if label not in gone}

    def _begin_round(self) -> None:
        hosts = [self._managed.hosts[label] for label in self._left.pop(0)]
        targets = self.targets
        self._rounds.append(
            Round(hosts, self._call, self._managed.timeouts, failed=targets.failures, lenient=not targets.named)
        )

    def _goes_on(self) -> bool:
        """Whether the next round is to begin after the last one; what it failed of is told with what comes then."""
        last = self._rounds[-1]
        if not self._left or last.succeeded or (self._final and last.answered):
            return False
        self._notes += [encode_failed(label, reason) for label, reason in self.without_gone(last.failed).items()]
        self._layers.next_host()
        return True

    async def _end(self) -> bytes:
        if not any(one.progress for one in self._rounds):
            raise self._refusal()
        # Before the caller is told that it is done: what it asks next must see the change.
        self._managed.fleet.look(self.targets.up)
        await self._managed.show(self.done)
        self.ended = True
        self.succeeded = self.targets.enough(self.done, self.gone)
        *before, last = self._rounds
        failed = self.without_gone({label: reason for one in before for label, reason in one.failed.items()})
        if last.progress is not None and (self.succeeded or not failed):
            return last.progress.end(enough=self.succeeded)
        return encode_error(reasons(failed | self.without_gone(last.failed)))

    def _refusal(self) -> GatewayError:
        """Return why no host began; those that are down have no say when others have."""
        errors = {label: error for one in self._rounds for label, error in one.errors.items()}
        return verdict(self.without_gone(errors) or errors)
