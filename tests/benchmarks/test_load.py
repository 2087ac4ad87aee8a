"""The load generator against the host: what it counts, and that it takes no wrong answer for a right one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from benchmarks.host import Script
from benchmarks.load import LoadError, drive, hold
from benchmarks.processes import LOOPBACK, host
from benchmarks.targets import NATIVE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.load import Address

SCRIPT = Script("some", tokens=5)
SLOW = Script("slow", tokens=50, interval=0.5)


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    with host([SCRIPT, SLOW]) as port:
        yield LOOPBACK, port


@pytest.mark.parametrize(("stream", "pieces"), [(False, 1), (True, 5)])
def test_every_answer_in_the_window_is_counted_with_its_pieces(address: Address, stream: bool, pieces: int) -> None:
    probes = iter(("before", "after"))

    window = drive(address, NATIVE.question(SCRIPT, stream=stream), lambda: next(probes), callers=3, seconds=0.2)

    assert (window.before, window.after) == ("before", "after")
    assert window.answers == len(window.latencies) > 0
    assert abs(window.pieces - window.answers * pieces) <= 3 * pieces  # streams that the window's ends cut in two
    assert min(window.latencies) > 0


def test_streams_are_held_open_until_the_probe_has_looked(address: Address) -> None:
    assert hold(address, NATIVE.question(SLOW, stream=True), lambda: "seen", streams=20, settle=0) == "seen"


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_of_another_length_is_an_error(address: Address, stream: bool) -> None:
    question = NATIVE.question(replace(SCRIPT, tokens=6), stream=stream)

    with pytest.raises(LoadError, match=r"status 200, \d of \d pieces"):
        drive(address, question, lambda: None, callers=2, seconds=5)


def test_an_answer_without_its_end_is_an_error(address: Address) -> None:
    question = replace(NATIVE.question(SCRIPT, stream=True), end=b"data: [DONE]")

    with pytest.raises(LoadError, match="status 200, 5 of 5 pieces"):
        drive(address, question, lambda: None, callers=2, seconds=5)


def test_an_answer_with_another_status_is_an_error(address: Address) -> None:
    question = NATIVE.question(Script("unknown", tokens=5), stream=False)

    with pytest.raises(LoadError, match="status 404"):
        drive(address, question, lambda: None, callers=2, seconds=5)


def test_a_failure_ends_all_even_before_some_have_begun(address: Address, caplog: pytest.LogCaptureFixture) -> None:
    question = NATIVE.question(Script("unknown", tokens=5), stream=False)

    with pytest.raises(LoadError, match="status 404"):
        drive(address, question, lambda: None, callers=300, seconds=5, spread=0.02)

    assert caplog.records == []


def test_a_connection_that_is_closed_is_an_error(address: Address) -> None:
    question = replace(NATIVE.question(SCRIPT, stream=True), request=b"nonsense\r\n\r\n")

    with pytest.raises(LoadError, match="the connection was closed"):
        drive(address, question, lambda: None, callers=2, seconds=5)
