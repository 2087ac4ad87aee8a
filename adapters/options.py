"""The options of a local model, by the names that Ollama gives them (wire.md 1.8).

They are the vocabulary of `ChatRequest.options`: a dialect takes them from its callers, a backend hands them on in its
own way.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from adapters.errors import InvalidRequest
from adapters.types import KeepAlive

Kind = Literal["integer", "number", "boolean"]

LOAD: dict[str, Kind] = {
    "num_ctx": "integer",
    "num_batch": "integer",
    "num_gpu": "integer",
    "main_gpu": "integer",
    "use_mmap": "boolean",
    "num_thread": "integer",
    "draft_num_predict": "integer",
}
"""Options that belong to the load of a model: another value loads it anew."""

SAMPLING: dict[str, Kind] = {
    "num_predict": "integer",
    "num_keep": "integer",
    "seed": "integer",
    "temperature": "number",
    "top_k": "integer",
    "top_p": "number",
    "min_p": "number",
    "repeat_last_n": "integer",
    "repeat_penalty": "number",
    "presence_penalty": "number",
    "frequency_penalty": "number",
}
"""Options that belong to one request. `stop` is one too; it has a field of its own in a request."""

RETIRED = frozenset(
    {
        "typical_p",  # a hard 400 from Ollama 0.34.1 on, even at its neutral value
        "tfs_z",
        "mirostat",
        "mirostat_tau",
        "mirostat_eta",
        "penalize_newline",
        "numa",
        "low_vram",
        "f16_kv",
        "logits_all",
        "vocab_only",
        "use_mlock",
        "embedding_only",
        "rope_frequency_base",
        "rope_frequency_scale",
        "num_gqa",
    }
)
"""Options that Ollama no longer has. They are never sent, and named among what was ignored."""

KNOWN: dict[str, Kind] = {**LOAD, **SAMPLING}


def check_option(name: str, value: object, path: str) -> Any:
    """Return the value of a known option as the host expects it.

    An integer may be written as a float without a fraction, as Ollama allows.

    Raises:
        InvalidRequest: The value has the wrong type, does not fit into 64 bits, or is `num_predict` 0, which means
            "no limit" to some hosts and "one token" to others (wire.md 1.8).
    """
    kind = KNOWN[name]
    match kind, value:
        case ("boolean", bool()):
            return value
        case ("integer", float()) if value.is_integer():
            value = int(value)
        case ("integer", int()) | ("number", int() | float()) if not isinstance(value, bool):
            pass
        case _:
            article = "an" if kind == "integer" else "a"
            raise InvalidRequest(f"{path} must be {article} {kind}.", param=path, code="invalid_type")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidRequest(f"{path} does not fit into 64 bits.", param=path)
    if name == "num_predict" and value == 0:
        raise InvalidRequest(f"{path} must not be 0. Leave it out, or give -1, for no limit.", param=path)
    return value


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_DURATION = re.compile(rf"[+-]?(?:0|(?:{_DURATION_PART.pattern})+)")
_MOST_LETTERS = 64
_LONGEST = 2**63 // 10**9


def check_keep_alive(value: object, path: str) -> KeepAlive:
    """Return how long a model stays loaded: seconds as a number, or Go's durations such as `"1h30m"` (wire.md 1.4).

    Raises:
        InvalidRequest: It is neither, or longer than the 292 years that a host can count.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds: float = value
    elif isinstance(value, str) and len(value) <= _MOST_LETTERS and _DURATION.fullmatch(value):
        seconds = sum(float(count) * _UNITS[unit] for count, unit in _DURATION_PART.findall(value))
    else:
        raise InvalidRequest(f'{path} must be a number of seconds or a duration such as "10m" or "1h30m".', param=path)
    if abs(seconds) > _LONGEST:
        raise InvalidRequest(f"{path} must not be longer than 292 years. Give -1 for ever.", param=path)
    return value
