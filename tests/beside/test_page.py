"""The page for users says what these tests show, no more and no less."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.beside.exchanges import ROOT, recorded

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[1] / "docs" / "beside-ollama.md"
FILES = sorted(file for file in FOLDER.glob("test_*.py") if file != Path(__file__))


class Row(NamedTuple):
    """A row of the page, with the names of recordings and tests that stand in it."""

    complaint: str
    theirs: str
    recorded: tuple[str, ...]
    ours: str
    tests: tuple[str, ...]


def rows() -> list[Row]:
    lines = [line.strip("| ").split("|") for line in PAGE.read_text().splitlines() if "](../tests/" in line]
    return [
        Row(complaint, theirs.strip(), tuple(re.findall(r"`(.+?)`", names)), ours, tuple(re.findall(r"`(.+?)`", tests)))
        for complaint, theirs, names, ours, tests in lines
    ]


def shown() -> dict[str, Any]:
    """Return the tests of this folder, by name."""
    modules = [import_module(f"{__package__}.{file.stem}") for file in FILES]
    return {name: value for module in modules for name, value in vars(module).items() if name.startswith("test_")}


def recordings(test: Any) -> set[str]:
    """Return the files that a test gets as `theirs`."""
    return {file for mark in test.pytestmark if mark.args[0] == "theirs" for file in mark.args[1]}


def test_every_test_has_a_row_that_links_to_it() -> None:
    page = PAGE.read_text()

    assert {name for row in rows() for name in row.tests} == shown().keys()
    assert all(f"[`{name}`](../tests/beside/{file.name})" in page for file in FILES for name in _names(file))


def _names(file: Path) -> list[str]:
    return re.findall(r"^async def (test_\w+)", file.read_text(), re.MULTILINE)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.tests[0])
def test_the_recordings_of_a_row_are_those_of_its_tests(row: Row) -> None:
    given = {file for name in row.tests for file in recordings(shown()[name])}

    assert set(recorded(*row.recorded)) <= given
    assert row.theirs.startswith(("Not recorded: ", "Not compared: ")) == (not row.recorded)


def test_every_recording_is_used() -> None:
    words = {word for file in FILES for word in re.findall(r"[\w-]+", file.read_text())}

    assert [file.name for file in ROOT.glob("*/v1/*.json") if file.stem not in words] == []
