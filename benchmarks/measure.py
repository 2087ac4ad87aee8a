"""What a process has used: CPU time and memory, its children included, from Linux' /proc."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from msgspec import Struct

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")

# Fields of /proc/PID/stat, counted from the one after the command's name (proc(5)).
_PARENT, _UTIME, _STIME, _RSS = 1, 11, 12, 21


class Spread(Struct, frozen=True):
    """What several windows have shown.

    Attributes:
        median, low, high: The middle, the least and the most.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Gather values, one at least."""
        return cls(median(values), min(values), max(values))


def cpu_seconds(pid: int) -> float:
    """Return the CPU time, user's and system's, that a process and its living descendants have used."""
    return sum(int(stat[_UTIME]) + int(stat[_STIME]) for stat in _family(pid)) / _TICKS


def resident_bytes(pid: int) -> int:
    """Return the memory that a process and its descendants hold; pages that they share count for each."""
    return sum(int(stat[_RSS]) for stat in _family(pid)) * _PAGE


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that a share of all values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _family(pid: int) -> Iterator[list[str]]:
    stats = dict(_stats())
    children = defaultdict(list)
    for child, stat in stats.items():
        children[int(stat[_PARENT])].append(child)
    found = [pid]
    for member in found:
        yield stats[member]
        found += children[member]


def _stats() -> Iterator[tuple[int, list[str]]]:
    for directory in _PROC.iterdir():
        if directory.name.isdecimal():
            try:
                stat = (directory / "stat").read_text(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended since it was listed
            yield int(directory.name), stat.rpartition(")")[2].split()
