"""What is told of layers when one host is tried after the other, and each begins with nothing."""

from __future__ import annotations

from msgspec import Struct

from adapters.ollama.native.pulling import Step, decode_step, encode_step

_ROOM = 1 << 24
_OVERHEAD = 1000
"""How many bytes of different lines are remembered, and what each takes beside its own."""


class _Told(Struct, frozen=True):
    total: int
    completed: int

    def with_more(self, step: Step) -> _Told:
        """Return the same size with the part of it that is done, in which nothing is ever taken back."""
        part = min(self.total, max(0, step.completed) * self.total // step.total)
        return _Told(self.total, max(self.completed, part))


class Layers:
    """Keeps a client's bars from going back when the next host is tried, and their sizes as they are.

    Made for one request. The lines of the first host pass as they are, and so do those that take nothing back.
    """

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], _Told] = {}
        self._now: dict[tuple[str, str], _Told] = {}
        self._room = _ROOM

    def next_host(self) -> None:
        """Take that from here on another host is at work, so that what was told so far stands."""
        self._before |= self._now
        self._now = {}

    def tell(self, line: bytes) -> bytes:
        """Return a line that `Progress` has let through as it is to be sent, without its line feed."""
        step = decode_step(line)
        key = step.layer
        if key is None:
            return line
        before = self._before.get(key)
        if before is None:
            self._note(key, step, line)
            return line
        told = self._before[key] = before.with_more(step)
        if (told.total, told.completed) == (step.total, step.completed):
            return line
        return encode_step(Step(step.status, step.digest, told.total, told.completed))

    def _note(self, key: tuple[str, str], step: Step, line: bytes) -> None:
        """Remember what is told of a layer, as long as there is room; of others, the next host tells anew."""
        known = self._now.get(key)
        if known is None:
            self._room -= len(line) + _OVERHEAD
            if self._room < 0:
                return
            known = _Told(step.total, 0)
        self._now[key] = known.with_more(step)
