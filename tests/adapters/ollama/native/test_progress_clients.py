"""What clients that know one host make of the progress of several."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ollama.native.progress import Progress
from tests.adapters.ollama.recorded import recording

HOSTS = ["gpu-1", "gpu-2", "gpu-3", "gpu-4"]
PULLS = [
    recording(f"{version}/{name}").body.splitlines()
    for version in ("0.24", "0.33")
    for name in ("pull-ok-stream", "pull-again-stream", "pull-unknown", "pull-wrong-digest")
]
CREATES = [
    recording(f"{version}/{name}").body.splitlines()
    for version in ("0.24", "0.33")
    for name in ("create-quantize", "create-from-stream", "create-files-gguf", "create-system-parameters-template")
]
PUSHES = [recording(f"{version}/push-ok-stream").body.splitlines() for version in ("0.24", "0.33")]
CUT = b""
"""Stands for the end of a host that dies."""


def merged(streams: dict[str, list[bytes]], order: list[int]) -> tuple[Progress, list[dict[str, Any]]]:
    """Return what a client is told when each host says its lines in its order, and they take turns as a list says."""
    progress, told = Progress(list(streams)), []
    rests = {host: list(lines) for host, lines in streams.items()}
    for turn in [*order, *([0] * sum(map(len, rests.values())))]:
        waiting = [host for host, lines in rests.items() if lines]
        if waiting:
            host = waiting[turn % len(waiting)]
            line = rests[host].pop(0)
            told += progress.fail(host, "it died") if line == CUT else progress.feed(host, line)
    told.append(progress.end(enough=bool(progress.succeeded)))
    return progress, [json.loads(line) for line in told]


@st.composite
def runs(draw: st.DrawFn) -> tuple[dict[str, list[bytes]], list[int]]:
    kind = draw(st.sampled_from([PULLS, CREATES, PUSHES]))
    streams = {}
    for host in HOSTS[: draw(st.integers(2, 4))]:
        lines = draw(st.sampled_from(kind))
        dies_at = draw(st.none() | st.integers(0, len(lines) - 1))
        streams[host] = lines if dies_at is None else [*lines[:dies_at], CUT]
    return streams, draw(st.lists(st.integers(0, 3), max_size=100))


@given(runs())
def test_it_has_the_shape_of_a_single_hosts_stream(run: tuple[dict[str, list[bytes]], list[int]]) -> None:
    progress, told = merged(*run)
    *lines, last = told
    assert progress.running == ()
    assert last == ({"status": "success"} if progress.succeeded else {"error": progress.error_text()})
    assert all("error" not in line and line["status"] != "success" for line in lines)

    statuses = [line["status"] for line in lines if "digest" not in line]
    assert len(set(statuses)) == len(statuses)
    gates = [text for text in ("verifying sha256 digest", "writing manifest") if text in statuses]
    assert sorted(gates, key=statuses.index) == gates

    parts = [line for line in lines if "digest" in line]
    layers = [list(group) for _, group in groupby(parts, key=lambda line: (line["status"], line["digest"]))]
    assert len({(layer[0]["status"], layer[0]["digest"]) for layer in layers}) == len(layers), "one after the other"
    for layer in layers:
        done = [line.get("completed", 0) for line in layer]
        assert len({line["total"] for line in layer}) == 1
        assert done == sorted(done)
        assert done[-1] <= layer[0]["total"]
    for layer in layers if progress.succeeded else layers[:-1]:
        assert layer[-1]["completed"] == layer[0]["total"], "a bar that is left is full"
    assert {text for text in statuses if text.endswith(": it died")} == {
        f"{host} failed: it died" for host, reason in progress.failed.items() if reason == "it died"
    }


class Bar:
    """A bar of tqdm, as far as the usual example needs it: once closed, it takes no more."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.n = 0
        self.closed = False

    def update(self, more: int) -> None:
        assert not self.closed
        self.n += more


def tqdm_bars(told: list[dict[str, Any]]) -> dict[str, Bar]:
    """The usual example of the Python client."""
    current, bars = "", dict[str, Bar]()
    for progress in told:
        digest = progress.get("digest", "")
        if digest != current and current in bars:
            bars[current].closed = True
        if not digest:
            continue
        if digest not in bars and (total := progress.get("total")):
            bars[digest] = Bar(total)
        if completed := progress.get("completed"):
            bars[digest].update(completed - bars[digest].n)
        current = digest
    return bars


@pytest.mark.parametrize("turns", [[0], [0, 1], [1, 0, 2], [2, 2, 1, 0, 0]], ids=str)
@pytest.mark.parametrize("kind", [PULLS[:2], CREATES[:1] + CREATES[4:5], PUSHES], ids=["pull", "create", "push"])
def test_the_bars_of_the_usual_example_fill_one_after_the_other(kind: list[list[bytes]], turns: list[int]) -> None:
    streams = {host: kind[number % len(kind)] for number, host in enumerate(HOSTS[:3])}
    bars = tqdm_bars(merged(streams, turns * 40)[1])
    sizes = {line["digest"]: line["total"] for lines in kind for line in map(json.loads, lines) if "digest" in line}
    assert {digest: bar.total for digest, bar in bars.items()} == {digest: 3 * size for digest, size in sizes.items()}
    assert all(bar.n == bar.total for bar in bars.values())


def test_the_bars_of_ollamas_own_command_fill_too() -> None:
    """It makes a bar from the first line about a layer that has something done, and only ever sets it after that."""
    _, told = merged({"a": PULLS[0], "b": PULLS[1], "c": PULLS[4]}, [0, 1, 2] * 30)
    bars: dict[str, tuple[int, int]] = {}
    for line in told:
        if line.get("digest") and line.get("completed"):
            total, _ = bars.get(line["digest"], (line["total"], 0))
            bars[line["digest"]] = (total, line["completed"])
    assert len(bars) == 4
    assert all(total == done for total, done in bars.values())
