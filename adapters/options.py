"""The options of a local model, by the names that Ollama gives them (wire.md 1.8).

They are the vocabulary of `ChatRequest.options`: a dialect takes them from its callers, a backend hands them on in its
own way.
"""

from __future__ import annotations

from typing import Any, Literal

from adapters.errors import InvalidRequest

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
        InvalidRequest: The value has the wrong type, or is `num_predict` 0, which means "no limit" to some hosts and
            "one token" to others (wire.md 1.8).
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
    if name == "num_predict" and value == 0:
        raise InvalidRequest(f"{path} must not be 0. Leave it out, or give -1, for no limit.", param=path)
    return value
