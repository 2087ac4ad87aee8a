"""Faults by name, for those who order them from a command line."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from gateway.simulator.faults import (
    Cut,
    Drip,
    Fail,
    Fault,
    Hang,
    Raw,
    Reply,
    busy,
    error_line,
    forbidden,
    huge_line,
    out_of_memory,
    too_long,
)

FAULTS: dict[str, Callable[[], Fault]] = {
    "busy": busy,
    "crash": lambda: Fail(3),
    "cut": lambda: Cut(3, end="reset"),
    "drip": lambda: Drip(0.01),
    "empty": Reply,
    "error-line": lambda: error_line(3, "an error was encountered while running the model: unexpected EOF"),
    "forbidden": forbidden,
    "garbage": lambda: Raw(b"This is not HTTP.\r\n"),
    "half-line": lambda: Cut(3, inside="line", end="reset"),
    "hang": Hang,
    "huge-line": lambda: huge_line(3, megabytes=20),
    "no-end": lambda: Cut(3, end="finish"),
    "out-of-memory": out_of_memory,
    "silence": lambda: Cut(3, end="hang"),
    "too-long": too_long,
}


def fault(name: str, path: str) -> Fault:
    """Return a fault for the next request to a path.

    Raises:
        KeyError: There is none of that name.
    """
    return replace(FAULTS[name](), path=path)
