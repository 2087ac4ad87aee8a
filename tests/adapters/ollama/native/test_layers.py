from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.ollama.native.layers import Layers
from tests.adapters.ollama.recorded import recordings

BIG, SMALL, ZEROS = "sha256:big", "sha256:small", "0" * 19


def part(digest: str, total: int, completed: int = 0, *, text: str = "pulling", **more: Any) -> bytes:
    done = {"completed": completed} if completed else {}
    return json.dumps({"status": text, "digest": digest, "total": total} | done | more, separators=(",", ":")).encode()


def told(layers: Layers, *lines: bytes) -> list[bytes]:
    return [layers.tell(line) for line in lines]


def after(*lines: bytes) -> Layers:
    """Return what a second host finds after a first one said these lines."""
    layers = Layers()
    told(layers, *lines)
    layers.next_host()
    return layers


@pytest.mark.parametrize("stream", recordings("/api/pull"), ids=lambda stream: stream.name)
def test_the_lines_of_the_first_host_pass_as_they_are(stream: Any) -> None:
    lines = stream.body.splitlines()
    assert told(Layers(), *lines) == lines


def test_the_first_host_may_take_something_back() -> None:
    lines = [part(BIG, 1000, 900), b'{ "status" : "pulling" , "digest" : "sha256:big", "total": 1000, "completed": 10}']
    assert told(Layers(), *lines) == lines


def test_the_next_host_takes_nothing_back() -> None:
    layers = after(part(BIG, 1000), part(BIG, 1000, 900))
    assert told(layers, part(BIG, 1000), part(BIG, 1000, 10)) == [part(BIG, 1000, 900)] * 2
    lines = [part(BIG, 1000, 900), part(BIG, 1000, 950, new="field"), part(BIG, 1000, 1000)]
    assert told(layers, *lines) == lines


def test_what_the_next_host_has_told_is_not_taken_back_either() -> None:
    layers = after(part(BIG, 1000, 100))
    assert told(layers, part(BIG, 1000, 200), part(BIG, 1000, 150)) == [part(BIG, 1000, 200)] * 2


def test_the_most_that_was_told_stands_over_several_hosts() -> None:
    layers = after(part(BIG, 1000, 900), part(BIG, 1000, 800))
    told(layers, part(BIG, 1000, 10), part(SMALL, 10, 7))
    layers.next_host()
    assert told(layers, part(BIG, 1000, 20), part(SMALL, 10, 1)) == [part(BIG, 1000, 900), part(SMALL, 10, 7)]


def test_a_layer_that_no_host_before_was_at_is_told_as_it_is() -> None:
    layers = after(part(BIG, 1000, 900))
    lines = [part(SMALL, 10, 5), part(SMALL, 10, 4), part(ZEROS, 10, 5, text="quantizing")]
    assert told(layers, *lines) == lines


def test_the_size_that_was_told_first_stands_and_what_counts_is_the_part_that_is_done() -> None:
    layers = after(part(BIG, 1000, 500))
    assert told(layers, part(BIG, 10, 4), part(BIG, 10, 6), part(BIG, 10, 20)) == [
        part(BIG, 1000, 500),
        part(BIG, 1000, 600),
        part(BIG, 1000, 1000),
    ]


@pytest.mark.parametrize("completed", [-5, 5000])
def test_more_than_all_and_less_than_nothing_are_not_told(completed: int) -> None:
    layers = after(part(BIG, 1000, completed))
    assert layers.tell(part(BIG, 1000, 10)) == part(BIG, 1000, 10 if completed < 0 else 1000)


@pytest.mark.parametrize(
    "line", [b'{ "status" : "pulling manifest" }', b'{"status":"pulling","digest":"sha256:big"}', b"{}"]
)
def test_a_line_about_no_layer_passes_as_it_is(line: bytes) -> None:
    assert after(part(BIG, 1000, 900), line).tell(line) == line


def test_a_host_that_says_ever_new_things_fills_no_memory() -> None:
    lines = [part(f"{number}:" + "x" * 100_000, 10, 5) for number in range(300)]
    layers = after(*lines, part("0:" + "x" * 100_000, 10, 7))
    assert layers.tell(part("0:" + "x" * 100_000, 10, 1)) == part("0:" + "x" * 100_000, 10, 7)
    last = part("299:" + "x" * 100_000, 10, 1)
    assert layers.tell(last) == last
