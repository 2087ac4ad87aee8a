"""A plugin of pytest that notes which marked tests passed, and compares the pages with that, or writes them.

`-p tests.conformance.plugin` loads it. It belongs to runs of all marked tests; others would show too little.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import pytest

from tests.conformance import table
from tests.conformance.clients import page as clients
from tests.conformance.clients.uses import used_by
from tests.conformance.rows import shown_by


class Page(NamedTuple):
    """A page that is made from tests.

    Attributes:
        file: Where it is.
        rows_of: Tells the rows that a test is marked with.
        render: Makes the page of rows, and of the tests that show each.
    """

    file: str
    rows_of: Callable[[pytest.Item], Sequence[Hashable]]
    render: Callable[[Mapping[Any, Collection[str]]], str]


PAGES = (Page(table.PAGE, shown_by, table.render), Page(clients.PAGE, used_by, clients.render))


def pytest_addoption(parser: pytest.Parser) -> None:
    files = " and ".join(page.file for page in PAGES)
    parser.addoption("--write-conformance", action="store_true", help=f"write {files} from what this run shows")


def pytest_configure(config: pytest.Config) -> None:
    for page in PAGES:
        config.pluginmanager.register(Conformance(config, page))


class Conformance:
    """Notes what a run shows of a page.

    A row stands in it when every test, and every case of it, that is marked with it has passed.
    """

    def __init__(self, config: pytest.Config, page: Page) -> None:
        self._config = config
        self._page = page
        self._file = config.rootpath / page.file
        self._marked: dict[str, Sequence[Hashable]] = {}
        self._passed: set[str] = set()
        self._difference: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._marked = {test.nodeid: self._page.rows_of(test) for test in session.items}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self._passed.add(report.nodeid)
        elif not report.passed:
            self._passed.discard(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus != pytest.ExitCode.OK:
            return
        shown = self._page.render(self._shown())
        if self._config.getoption("write_conformance"):
            self._file.write_text(shown)
            return
        before = self._file.read_text().splitlines() if self._file.exists() else []
        difference = difflib.unified_diff(
            before, shown.splitlines(), self._page.file, "what this run shows", n=0, lineterm=""
        )
        self._difference = list(difference)
        if self._difference:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._difference:
            terminalreporter.section(f"{self._page.file} is out of date: make conformance", red=True)
            terminalreporter.write("\n".join((*self._difference, "")))

    def _shown(self) -> Mapping[Hashable, set[str]]:
        tests: defaultdict[Hashable, set[str]] = defaultdict(set)
        unproven: set[Hashable] = set()
        for test, rows in self._marked.items():
            for row in rows:
                tests[row].add(test.partition("[")[0])
                if test not in self._passed:
                    unproven.add(row)
        return {row: names for row, names in tests.items() if row not in unproven}
