"""What a test says of a parameter must be true of what went over the wire."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tests.conformance.rows import NOT_NAMED, Row

if TYPE_CHECKING:
    from tests.e2e.wire import Answer


def prove(row: Row, answers: Sequence[Answer]) -> None:
    """Hold a row to the answers that a test got. What effect a parameter has, the test itself shows.

    Raises:
        AssertionError: None of the answers is to a request with this parameter, or all of them belie the verdict.
    """
    asked = [answer for answer in answers if _is_asked(row, answer)]
    assert asked, f"{row.endpoint} was not asked with {row.parameter or 'nothing'}"
    assert any(_bears_out(row, answer) for answer in asked), f"{row.parameter} of {row.endpoint} is not {row.verdict}"


def _is_asked(row: Row, answer: Answer) -> bool:
    endpoint = re.escape(row.endpoint).replace(r"\{model\}", "(?P<model>.+)")
    place = re.fullmatch(endpoint, f"{answer.method} {answer.path}")
    if place is None:
        return False
    path, _, word = row.parameter.partition(": ")
    found = _find(answer.asked or place.groupdict(), path)
    return any(value == word if word else value is not None for value in found)


def _find(value: Any, path: str) -> Iterator[Any]:
    """Return everything that stands at a path, in all items of its arrays."""
    step = re.match(r"\[\]|\.?(\w+)", path)
    if step is None:
        yield value
        return
    rest = path[step.end() :]
    if isinstance(value, list) and step[1] is None:
        for item in value:
            yield from _find(item, rest)
    elif isinstance(value, dict) and step[1] in value:
        yield from _find(value[step[1]], rest)


def _bears_out(row: Row, answer: Answer) -> bool:
    path = row.parameter.partition(": ")[0]
    if row.verdict == "refused":
        # What is of a type that is not served has a part of that name.
        return answer.status in (400, 403) and _refused(answer) in (path, f"{path.rpartition('.')[0]}.type")
    ignored = answer.headers.get("x-gateway-ignored", "").split(", ")
    named = any(path == name or path.startswith((f"{name}.", f"{name}[")) for name in ignored)
    return answer.status == 200 and named == (row.verdict == "accepted without effect" and row.remark != NOT_NAMED)


def _refused(answer: Answer) -> str:
    """Return the parameter that an answer refuses."""
    return re.sub(r"\[\d+\]", "[]", answer.data[0]["error"]["param"] or "")
