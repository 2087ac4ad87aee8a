"""How far a pull has come, for people who watch it, or read later what happened."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, TextIO

from gateway.log import printable

if TYPE_CHECKING:
    from adapters.ollama.native.pulling import Step

_UNITS = ("B", "kB", "MB", "GB", "TB")


class Screen:
    """Writes a line for each thing that happens.

    On a terminal the last line changes in place as long as it is about the same thing, and tells the part that is done.
    Elsewhere, in a file or a pipe, each line is written once.

    Args:
        stream: Where to write.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._changes = stream.isatty()
        self._open = False
        self._last = ""

    def say(self, text: str) -> None:
        """Write lines of their own."""
        self.end_line()
        for line in text.split("\n"):
            self._write(f"{printable(line)}\n")

    def show(self, name: str, step: Step) -> None:
        """Write how far something has come.

        Args:
            name: What it is.
            step: What was said last of it.
        """
        subject = f"{name}: {step.status}"
        if not self._changes:
            if subject != self._last:
                self._write(f"{printable(subject + _size(step))}\n")
        else:
            if subject != self._last:
                self.end_line()
            line = printable(subject + _part(step))[: shutil.get_terminal_size().columns - 1]
            self._write(f"\r{line}\x1b[K")  # which erases what an earlier, longer line left behind
            self._open = True
        self._last = subject

    def end_line(self) -> None:
        """Leave the last line as it is."""
        if self._open:
            self._write("\n")
        self._open = False
        self._last = ""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _size(step: Step) -> str:
    return f", {_bytes(step.total)}" if step.total > 0 else ""


def _part(step: Step) -> str:
    if step.total <= 0:
        return ""
    part = min(max(step.completed, 0), step.total) * 100 // step.total
    return f", {part:3} % of {_bytes(step.total)}"


def _bytes(number: float) -> str:
    for unit in _UNITS:
        if number < 1000 or unit == _UNITS[-1]:
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"
