"""What a test says of a parameter must be true of what went over the wire."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tests.conformance.rows import NOT_NAMED, Row, is_within

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
    found = _find(answer.asked or place.groupdict(), row.path)
    return any(value == row.word if row.word else value is not None for value in found)


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
    if row.verdict == "refused":
        of_type = f"{row.path.rpartition('.')[0]}.type"  # what is of the type `custom` has a part of that name
        return answer.status in (400, 403) and _refused(answer) in (row.path.rstrip("[]"), of_type)
    ignored = filter(None, answer.headers.get("x-gateway-ignored", "").split(", "))
    named = any(is_within(row.path, name) for name in ignored)
    return answer.status == 200 and named == (row.verdict == "accepted without effect" and NOT_NAMED not in row.remark)


def _refused(answer: Answer) -> str:
    """Return the parameter that an answer refuses."""
    param: str = answer.data[0]["error"]["param"] or ""
    return re.sub(r"\[\d+\]", "[]", param).rstrip("[]")
