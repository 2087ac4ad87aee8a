"""Whether a value follows a JSON Schema that a caller gave. This is the one module that jsonschema enters through.

The schema is a stranger's, so nothing in it may cost more than a little: references lead nowhere but into the schema
itself, regular expressions are not run, for one can take for ever, and the steps of a check are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, UnknownType, ValidationError, best_match
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

MOST_STEPS = 10_000
"""How many keywords are looked at in one check: some 100 ms of work. A schema can be short and its check endless."""

LONGEST = 300
"""Characters of a problem's text; it repeats what the model wrote."""

_UNRUN = {"pattern", "patternProperties"}

_steps: ContextVar[int] = ContextVar("steps")

_Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError]]


class _TooManyStepsError(Exception):
    """The check takes too long."""


_UNUSABLE = (SchemaError, UnknownType, Unresolvable, RecursionError, ArithmeticError, AttributeError, LookupError)
"""What jsonschema raises, beside TypeError and ValueError, for a schema that is none."""


def problem(schema: dict[str, Any], value: object) -> str | None:
    """Return what about a value does not follow a schema, in a few words with its place; nothing when it does.

    None says that it cannot be checked: the schema is none, leads out of itself, or takes too many steps.
    """
    _steps.set(MOST_STEPS)
    try:
        found = best_match(_Validator(schema, registry=Registry()).iter_errors(value))
    except (_TooManyStepsError, TypeError, ValueError, *_UNUSABLE):
        return None
    if found is None:
        return ""
    text = f"{found.json_path}: {found.message}"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _counted(keyword: _Keyword) -> _Keyword:
    def counting(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        left = _steps.get()
        if not left:
            raise _TooManyStepsError
        _steps.set(left - 1)
        return keyword(validator, value, instance, schema)

    return counting


def _unrun(*_: object) -> Iterator[ValidationError]:
    return iter(())


_Validator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {
        name: _unrun if name in _UNRUN else _counted(keyword)
        for name, keyword in Draft202012Validator.VALIDATORS.items()
    },
)
