"""The options of a request over those of a model: checked, merged, and split by when they apply (wire.md 1.8)."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gateway.simulator.answers import Refusal

_LOAD = {
    "num_ctx": "integer",
    "num_batch": "integer",
    "num_gpu": "integer",
    "main_gpu": "integer",
    "use_mmap": "boolean",
    "num_thread": "integer",
    "draft_num_predict": "integer",
}
_SAMPLING = {
    "num_keep": "integer",
    "seed": "integer",
    "num_predict": "integer",
    "top_k": "integer",
    "top_p": "float32",
    "min_p": "float32",
    "typical_p": "float32",
    "repeat_last_n": "integer",
    "temperature": "float32",
    "repeat_penalty": "float32",
    "presence_penalty": "float32",
    "frequency_penalty": "float32",
    "stop": "array",
}
_TYPES = _LOAD | _SAMPLING
_DEFAULTS = {"num_predict": -1, "temperature": 0.8, "top_k": 40, "top_p": 0.9, "min_p": 0.0, "seed": -1, "num_keep": 4}


class LoadOptions(Struct, frozen=True, kw_only=True):
    """With what a model is loaded. A request that wants another loads it anew (wire.md 3.4).

    Attributes:
        num_ctx: The context in tokens, already cut to what the model can do.
        automatic: Whether `num_ctx` is the host's own choice.
        shift: Whether the context may slide when it is full.
        others: The other load options that were given, by name.
    """

    num_ctx: int
    automatic: bool = True
    shift: bool = True
    others: tuple[tuple[str, Any], ...] = ()

    def suits(self, wanted: LoadOptions) -> bool:
        """Tell whether a model loaded with these options can serve a request that wants others."""
        same_context = self.num_ctx == wanted.num_ctx or (self.automatic and wanted.automatic)
        return same_context and self.shift == wanted.shift and self.others == wanted.others


def merge_options(parameters: dict[str, Any], requested: dict[str, Any]) -> dict[str, Any]:
    """Lay the options of a request over those of a Modelfile and the defaults. Unknown ones and nulls are left out.

    Raises:
        Refusal: 500 for an option of the wrong type.
    """
    given = {name: _check(name, value) for name, value in requested.items() if name in _TYPES and value is not None}
    return _DEFAULTS | parameters | given


def _check(name: str, value: Any) -> Any:
    match _TYPES[name], value:
        case ("boolean", bool()):
            return value
        case ("integer", int() | float()) if not isinstance(value, bool):
            return int(value)
        case ("float32", int() | float()) if not isinstance(value, bool):
            return value
        case ("array", list()):
            if all(isinstance(item, str) for item in value):
                return value
            raise Refusal(500, f'option "{name}" must be of an array of strings')
        case (kind, _):
            raise Refusal(500, f'option "{name}" must be of type {kind}')


def load_options(
    options: dict[str, Any], *, default_context: int, longest: int, least: int, shift: bool
) -> LoadOptions:
    """Pick the options that belong to a load.

    Args:
        options: Merged options.
        default_context: The context when none is asked for.
        longest: The longest context the model can do.
        least: The shortest that it is loaded with.
        shift: Whether the context may slide.
    """
    wanted = options.get("num_ctx")
    num_ctx = min(max(default_context if wanted is None else wanted, least), longest)
    others = tuple(sorted((name, options[name]) for name in _LOAD if name in options and name != "num_ctx"))
    return LoadOptions(num_ctx=num_ctx, automatic=wanted is None, shift=shift, others=others)
