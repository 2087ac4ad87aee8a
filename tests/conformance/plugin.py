"""A plugin of pytest that notes which marked tests passed, and compares the table with that, or writes it.

`-p tests.conformance.plugin` loads it. It belongs to runs of all marked tests; others would show too little.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Mapping

import pytest

from tests.conformance import table
from tests.conformance.rows import Row, shown_by


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-conformance", action="store_true", help=f"write {table.PAGE} from what this run shows")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Conformance(config))


class Conformance:
    """Notes what a run shows.

    A row stands in the table when every test, and every case of it, that is marked with it has passed.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._page = config.rootpath / table.PAGE
        self._marked: dict[str, list[Row]] = {}
        self._passed: set[str] = set()
        self._difference: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._marked = {test.nodeid: shown_by(test) for test in session.items}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self._passed.add(report.nodeid)
        elif not report.passed:
            self._passed.discard(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus != pytest.ExitCode.OK:
            return
        shown = table.render(self._shown())
        if self._config.getoption("write_conformance"):
            self._page.write_text(shown)
            return
        before = self._page.read_text().splitlines() if self._page.exists() else []
        now = shown.splitlines()
        self._difference = list(difflib.unified_diff(before, now, table.PAGE, "what this run shows", n=0, lineterm=""))
        if self._difference:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._difference:
            terminalreporter.section(f"{table.PAGE} is out of date: make conformance", red=True)
            terminalreporter.write("\n".join((*self._difference, "")))

    def _shown(self) -> Mapping[Row, set[str]]:
        tests: defaultdict[Row, set[str]] = defaultdict(set)
        unproven: set[Row] = set()
        for test, rows in self._marked.items():
            for row in rows:
                tests[row].add(test.partition("[")[0])
                if test not in self._passed:
                    unproven.add(row)
        return {row: names for row, names in tests.items() if row not in unproven}
