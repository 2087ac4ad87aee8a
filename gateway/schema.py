"""Whether a value follows a JSON Schema that a caller gave. This is the one module that jsonschema enters through.

The schema is a stranger's and the value a model's, and the check runs in the event loop. So what can take for ever is
not run (regular expressions, and keywords whose work jsonschema does in one go), references lead nowhere but into the
schema itself, and a check ends at a deadline. That is looked at with each schema and each keyword; what one keyword
does in between, such as reading a whole array, is bounded by the size of schema and value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from itertools import islice
from time import perf_counter
from typing import Any

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, UnknownType, ValidationError, best_match
from jsonschema.validators import create
from referencing import Registry
from referencing.exceptions import Unresolvable

SECONDS = 0.02
"""How long a check takes at most. A schema can be short and its check endless."""

LARGEST = 128 * 1024
"""Bytes of the schema and the value together, in JSON. Every problem that is found repeats a part of them."""

MOST_PROBLEMS = 10
"""How many problems are looked for; the one that says most is told."""

LONGEST = 300
"""Characters of a problem's text; it repeats what the model wrote."""

_UNRUN = frozenset(
    {
        *("pattern", "patternProperties"),  # a regular expression can take for ever
        *("unevaluatedProperties", "unevaluatedItems", "uniqueItems"),  # and so can these, in one go
        "format",  # an annotation, and many callers mean more by it
    }
)
_UNRUN_BESIDE_PATTERNS = _UNRUN | {"additionalProperties"}
"""Which properties are additional, `patternProperties` say."""

_EXACT = frozenset({"not", "if", "oneOf", "contains"})
"""Keywords for which a part that passes too easily can make a right value look wrong."""

_FOREIGN = re.compile(rb'"\$(?:schema|id)":"|"\$(?:ref|dynamicRef)":"[^#]')
"""What leads out of a schema, to another document or to a validator of another draft, as `msgspec` writes it."""

_encode = msgspec.json.Encoder().encode

_Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError]]


class _Check:
    """A check that is under way: when it is given up, and how many keywords of `_EXACT` it is within."""

    __slots__ = ("deadline", "exact")

    def __init__(self) -> None:
        self.deadline = perf_counter() + SECONDS
        self.exact = 0

    def go_on(self) -> None:
        if perf_counter() > self.deadline:
            raise _UncheckableError


class _UncheckableError(Exception):
    """The check takes too long, or depends on what is not run."""


_check: ContextVar[_Check] = ContextVar("check")

_UNUSABLE = (SchemaError, UnknownType, Unresolvable, RecursionError, ArithmeticError, AttributeError, LookupError)
"""What jsonschema raises, beside TypeError and ValueError, for a schema that is none."""


def problem(schema: dict[str, Any], value: object) -> str | None:
    """Return what about a value does not follow a schema, in a few words with its place; nothing when it does.

    None says that it cannot be checked: the schema is none or leads out of itself, schema and value are too large, the
    check takes too long, or its outcome depends on a keyword that is not run.
    """
    root = {keyword: member for keyword, member in schema.items() if keyword not in ("$schema", "$id")}
    try:
        text = _encode(root)
        if len(text) + len(_encode(value)) > LARGEST or _FOREIGN.search(text):
            return None
        _check.set(_Check())
        found = best_match(islice(_Validator(root, registry=Registry()).iter_errors(value), MOST_PROBLEMS))
    except (_UncheckableError, TypeError, ValueError, *_UNUSABLE):
        return None
    if found is None:
        return ""
    told = f"{found.json_path}: {found.message}"
    return told if len(told) <= LONGEST else f"{told[:LONGEST]}…"


def _run(schema: Any) -> list[tuple[str, Any]]:
    """Return the keywords of a schema that are run."""
    check = _check.get()
    check.go_on()
    if _UNRUN.isdisjoint(schema):
        return list(schema.items())
    if check.exact:
        raise _UncheckableError
    unrun = _UNRUN_BESIDE_PATTERNS if "patternProperties" in schema else _UNRUN
    return [(keyword, value) for keyword, value in schema.items() if keyword not in unrun]


def _timed(keyword: _Keyword) -> _Keyword:
    def timed(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        _check.get().go_on()
        return keyword(validator, value, instance, schema)

    return timed


def _exact(keyword: _Keyword) -> _Keyword:
    def exact(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        check = _check.get()
        check.exact += 1
        try:
            yield from keyword(validator, value, instance, schema)
        finally:
            check.exact -= 1

    return exact


_Validator = create(
    Draft202012Validator.META_SCHEMA,
    {
        name: _timed(_exact(keyword) if name in _EXACT else keyword)
        for name, keyword in Draft202012Validator.VALIDATORS.items()
    },
    applicable_validators=_run,
)
