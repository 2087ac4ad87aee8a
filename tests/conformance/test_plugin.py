from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance import table
from tests.conformance.clients import page as clients
from tests.conformance.clients.uses import JAVASCRIPT, PYTHON, Use
from tests.conformance.rows import CHAT, Row

PASSING = """
from tests.conformance.rows import CHAT, shows

@shows(CHAT, "honoured", "seed")
def test_a_seed():
    pass

@shows(CHAT, "refused", "audio", remark="for want of ears")
def test_a_voice():
    pass
"""
ROWS = {
    Row(CHAT, "audio", "refused", "for want of ears"): {"test_it.py::test_a_voice"},
    Row(CHAT, "seed", "honoured"): {"test_it.py::test_a_seed"},
}
"""What that shows."""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Run the plugin on a file of tests, in front of a page and another that says nothing."""
    pytester.makeini("[pytest]\nmarkers =\n  shows\n  uses")
    pytester.mkdir("docs")

    def run(tests: str, page: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(test_it=tests)
        (pytester.path / table.PAGE).write_text(page)
        (pytester.path / clients.PAGE).write_text(clients.render({}))
        return pytester.runpytest("-p", "tests.conformance.plugin", "-p", "no:asyncio", *options)

    return run


def page(pytester: pytest.Pytester) -> str:
    return (pytester.path / table.PAGE).read_text()


def test_the_page_is_written_from_the_tests_that_passed(run, pytester):
    run(PASSING, "", "--write-conformance").assert_outcomes(passed=2)

    assert page(pytester) == table.render(ROWS)


def test_a_page_that_says_what_the_run_shows_is_fine(run):
    assert run(PASSING, table.render(ROWS)).ret == pytest.ExitCode.OK


@pytest.mark.parametrize("row", ROWS)
def test_a_page_that_says_something_else_fails_the_run(run, row):
    result = run(PASSING, table.render({other: tests for other, tests in ROWS.items() if other != row}))

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*docs/conformance.md is out of date: make conformance*", f"+*`{row.parameter}`*"])


def test_a_run_that_fails_leaves_the_page_alone(run, pytester):
    result = run(f"{PASSING}\ndef test_broken():\n    assert False\n", "as it was", "--write-conformance")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert page(pytester) == "as it was"


@pytest.mark.parametrize("case", ["raise pytest.skip.Exception('no')", "pytest.xfail('no')"])
def test_a_row_stands_only_where_all_its_tests_passed(run, pytester, case):
    more = f"import pytest\n@shows(CHAT, 'honoured', 'seed')\ndef test_another():\n    {case}\n"
    assert run(PASSING + more, "", "--write-conformance").ret == pytest.ExitCode.OK

    assert [row.parameter for row in table.read(page(pytester))] == ["audio"]


def test_what_is_read_of_a_page_is_what_was_written():
    assert table.read(table.render(ROWS)) == list(ROWS)


def test_the_page_of_clients_is_made_in_the_same_way(run, pytester):
    tests = """
import pytest
from tests.conformance.clients.uses import JAVASCRIPT, PYTHON, uses

@uses(PYTHON, "chat", "model", "tools")
@pytest.mark.parametrize("way", ["sync", "async, streamed"])
def test_the_way_of_a_case(way):
    pass

@uses(JAVASCRIPT, "abort", ways=("async",), remark="ends all")
def test_a_way_that_is_said():
    pass
"""
    run(tests, "", "--write-conformance").assert_outcomes(passed=3)

    assert clients.read((pytester.path / clients.PAGE).read_text()) == [
        *(Use(PYTHON, "chat", name, way) for name in ("model", "tools") for way in ("sync", "async, streamed")),
        Use(JAVASCRIPT, "abort", "", "async", "ends all"),
    ]
    assert table.read(page(pytester)) == []
