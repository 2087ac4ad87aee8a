"""The table, and the same figures for programs."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.cases import Case, Figure
from benchmarks.measure import Spread
from benchmarks.processes import Cores
from benchmarks.targets import Gateway, Nginx

Results = Mapping[str, Mapping[str, Spread]]
"""What was seen, by the figure's key and the target's name."""


def heading(cores: Cores) -> list[str]:
    """Return lines that say what was measured, where."""
    nginx = Nginx.command()
    scale = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=True).stderr.strip() if nginx else ""
    return [
        f"ollama-gateway {version('ollama-gateway')}, one process, Python {platform.python_version()}; "
        f"{scale.removeprefix('nginx version: ') or 'nginx: not installed'}",
        f"{_processor()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}; {cores}",
        "The gateway has keys, two hosts to choose from, metrics, and a log of every request, as JSON into a file. "
        "nginx passes the host's own bytes, without a log.",
    ]


def table(cases: Iterable[Case], results: Results, targets: Sequence[str]) -> list[str]:
    """Return the table's lines: the median of all windows, and the least and most in brackets."""
    rows = [("", "goal", *targets, *(f"{Gateway.name} / {name}" for name in targets[1:]))]
    for case in cases:
        for figure in case.figures:
            seen = results[figure.key]
            ratios = (seen[Gateway.name].median / seen[name].median for name in targets[1:])
            rows.append(
                (
                    figure.title,
                    _goal(figure),
                    *(_spread(figure, seen[name]) for name in targets),
                    *(f"{ratio:.1f}" for ratio in ratios),
                )
            )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_padded(row, widths)).rstrip() for row in rows]


def methods(cases: Iterable[Case]) -> list[str]:
    """Return a line for each case that says how it is measured."""
    return [f"{case.name}: {case.method}" for case in cases]


def _padded(row: Sequence[str], widths: Sequence[int]) -> Iterable[str]:
    for index, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell.rjust(width) if index else cell.ljust(width)


def _goal(figure: Figure) -> str:
    if figure.ratio is not None:
        return f"≤ {figure.ratio:g} × nginx"
    return "" if figure.goal is None else f"≤ {figure.goal:g}"


def _spread(figure: Figure, spread: Spread) -> str:
    middle, low, high = (f"{value:,.{figure.digits}f}" for value in (spread.median, spread.low, spread.high))
    return f"{middle} ({low} – {high})"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
