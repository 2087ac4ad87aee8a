"""The page."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import version
from typing import TypeAlias, cast

from tests.conformance.clients.members import JAVASCRIPT_VERSION, members
from tests.conformance.clients.uses import CLIENTS, WAYS, Client, Use, Way
from tests.conformance.table import links

PAGE = "docs/ollama-clients.md"
"""Where it is."""

HEAD = """\
# Clients of Ollama's own API

Made by `make conformance`, out of tests that ran and passed through a gateway with a key, in front of three simulated hosts
of different versions that do not all have the same models; `make test` makes it again and compares. The clients are `ollama`
for Python {python}, `ollama` for JavaScript {javascript}, and `langchain-ollama` {langchain}. The methods and parameters are all
those that the clients themselves have.

*whole* and *streamed* tell how a method can be asked, for its answer at once or in pieces; *sync* and *async* by which of
the clients: `Client` or `AsyncClient`, `invoke` or `ainvoke`, `stream` or `astream`.
"""

_Row: TypeAlias = tuple[str, str, str]
"""A method, a parameter, and the remark."""

_STREAMED = ", streamed"
_COLUMNS = ("| method | parameters | whole | streamed | remark | shown by |", "|---|---|---|---|---|---|")
_LINE = re.compile(r"^\| `(.+?)` \| (.+?) \| ([a-z, ]*) \| ([a-z, ]*) \| (.*?) \| \[", re.MULTILINE)


def render(shown: Mapping[Use, Collection[str]]) -> str:
    """Return the page.

    Args:
        shown: The rows, and for each the tests that show it, as `path/of/the/file.py::test_name`.
    """
    versions = {
        "python": version("ollama"),
        "javascript": JAVASCRIPT_VERSION,
        "langchain": version("langchain-ollama"),
    }
    sections = [HEAD.format(**versions)]
    for client in CLIENTS:
        lines = _lines(client, {use: tests for use, tests in shown.items() if use.client == client})
        sections.append("\n".join([f"## {client}\n", *_COLUMNS, *lines, ""]))
    return "\n".join(sections)


def read(page: str) -> list[Use]:
    """Return the rows of a page."""
    return [
        Use(cast("Client", client), method, parameter, cast("Way", way), remark)
        for client, lines in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
        for method, parameters, whole, streamed, remark in _LINE.findall(lines)
        for parameter in re.findall("`(.+?)`", parameters) or [""]
        for way in (*_ways(whole, ""), *_ways(streamed, _STREAMED))
    ]


def _ways(cell: str, kind: str) -> list[str]:
    return [f"{way}{kind}" for way in cell.split(", ") if way]


def _lines(client: Client, shown: Mapping[Use, Collection[str]]) -> list[str]:
    """Return the lines of a client. Parameters of a method of which the same is to be said share one."""
    tests: defaultdict[_Row, set[str]] = defaultdict(set)
    ways: defaultdict[_Row, set[Way]] = defaultdict(set)
    for use, names in shown.items():
        row = use.method, use.parameter, use.remark
        tests[row] |= set(names)
        ways[row].add(use.way)
    lines: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for method, parameter, remark in _in_order(client, tests):
        row = method, parameter, remark
        whole = ", ".join(way for way in WAYS if way in ways[row] and _STREAMED not in way)
        streamed = ", ".join(way.removesuffix(_STREAMED) for way in WAYS if way in ways[row] and _STREAMED in way)
        lines[method, f"{whole} | {streamed} | {remark} | {links(tests[row])}"].append(parameter)
    return [
        f"| `{method}` | {', '.join(f'`{name}`' for name in parameters if name) or 'none'} | {rest} |"
        for (method, rest), parameters in lines.items()
    ]


def _in_order(client: Client, rows: Iterable[_Row]) -> list[_Row]:
    """Return rows in the order in which the client has its methods and parameters."""
    known = members(client)

    def place(row: _Row) -> tuple[int, int, str, str]:
        method, parameter, remark = row
        names = known[method].parameters if method in known else ()
        return _place(tuple(known), method), _place(names, parameter.partition(": ")[0]), parameter, remark

    return sorted(rows, key=place)


def _place(names: tuple[str, ...], name: str) -> int:
    """Return where a name stands; what is not there comes last, and `test_completeness.py` complains of it."""
    return names.index(name) if name in names else len(names)
