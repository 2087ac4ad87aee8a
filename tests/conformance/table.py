"""The table as a page of the documents."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import cast

import openai

from tests.conformance.parameters import parameters
from tests.conformance.rows import ENDPOINTS, VERDICTS, Endpoint, Row, Verdict, is_within
from tests.e2e.cast import KINDS

PAGE = "docs/conformance.md"
"""Where the table is."""

HEAD = """\
# What becomes of every parameter

Made by `make conformance`, out of tests that ran and passed with OpenAI's SDK for Python {sdk} in front of simulated hosts of
Ollama {hosts}; `make test` makes it again and compares. The parameters are those of the SDK's own types, and the extensions.

| verdict | meaning |
|---|---|
| honoured | The host was asked for it, or the answer shows it. |
| emulated | It has its effect, though Ollama has nothing of the kind: the gateway brings it about. |
| refused | A 400 (403 where it says so) whose `param` names it. |
| accepted without effect | The answer is a 200, and its header `x-gateway-ignored` names the field, unless the remark says that it does not. |

`[]` is each item of an array. A row for a parameter that is refused or has no effect holds for its parts as well. Not listed is
what OpenAI refuses too, such as wrong types and numbers out of range, and what a model refuses that lacks a capability.
"""

_COLUMNS = ("| parameter | verdict | remark | shown by |", "|---|---|---|---|")
_LINE = re.compile(r"^\| (?:`(.+?)`|none) \| ([a-z ]+) \| (.*?) \| \[", re.MULTILINE)


def render(shown: Mapping[Row, Collection[str]]) -> str:
    """Return the page.

    Args:
        shown: The rows, and for each the tests that show it, as `path/of/the/file.py::test_name`.
    """
    hosts = " and ".join(sorted({kind.partition("-")[0] for kind in KINDS}))
    sections = [HEAD.format(sdk=openai.__version__, hosts=hosts)]
    for endpoint in ENDPOINTS:
        rows = [row for row in shown if row.endpoint == endpoint]
        lines = [_line(row, shown[row]) for row in sorted(rows, key=_place)]
        sections.append("\n".join([f"## `{endpoint}`\n", *_COLUMNS, *lines, ""]))
    return "\n".join(sections)


def read(page: str) -> list[Row]:
    """Return the rows of a page."""
    return [
        Row(cast("Endpoint", endpoint), parameter, cast("Verdict", verdict), remark)
        for endpoint, lines in re.findall(r"^## `(.+?)`\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
        for parameter, verdict, remark in _LINE.findall(lines)
    ]


def _line(row: Row, tests: Collection[str]) -> str:
    parameter = f"`{row.parameter}`" if row.parameter else "none"
    return f"| {parameter} | {row.verdict} | {row.remark} | {links(tests)} |"


def links(tests: Collection[str]) -> str:
    """Return links to tests, for a page in `docs/`."""
    names = (test.partition("::") for test in sorted(tests))
    return ", ".join(f"[`{name}`](../{file})" for file, _, name in names)


def _place(row: Row) -> tuple[int, int, int, str]:
    """Return what puts rows in the SDK's order; what is about a whole stands before what is about its parts."""
    known = parameters(row.endpoint)
    place = next((place for place, path in enumerate(known) if is_within(path, row.path)), len(known))
    words = known.get(row.path, [])
    return place, words.index(row.word) if row.word in words else -1, VERDICTS.index(row.verdict), row.remark
