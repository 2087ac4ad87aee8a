"""The table has a row for every parameter that there is, and none for others. That its rows are true, the run shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conformance import table
from tests.conformance.parameters import parameters
from tests.conformance.rows import ENDPOINTS, VERDICTS, is_within

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / table.PAGE).read_text()
ROWS = table.read(PAGE)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_parameter_has_a_row(endpoint):
    rows = [row for row in ROWS if row.endpoint == endpoint]
    without = [row.path for row in rows if row.verdict in ("refused", "accepted without effect") and not row.word]

    def has_row(path: str, words: list[str]) -> bool:
        said = {row.word for row in rows if row.path == path}
        return "" in said or (bool(words) and said >= set(words)) or any(is_within(path, whole) for whole in without)

    assert [path for path, words in parameters(endpoint).items() if not has_row(path, words)] == []


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_row_is_about_a_parameter(endpoint):
    known = parameters(endpoint)
    rows = [row for row in ROWS if row.endpoint == endpoint]

    assert [row for row in rows if not any(is_within(path, row.path) for path in known)] == []
    assert [row for row in rows if row.word and row.word not in known[row.path]] == []


def test_every_row_is_shown_where_it_is_proved():
    """`tests/e2e/conftest.py` holds rows to what went over the wire."""
    assert {file.startswith("../tests/e2e/test_") for file in re.findall(r"\]\((.+?)\)", PAGE)} == {True}


def test_every_verdict_is_one_that_the_page_explains():
    assert {row.verdict for row in ROWS} <= set(VERDICTS)
