"""The parameters that there are: those of the SDK's own types, and the gateway's extensions."""

from __future__ import annotations

import collections.abc
import inspect
from functools import cache
from typing import Any, Literal, get_args, get_origin

from openai.resources.models import Models
from openai.types import completion_create_params, embedding_create_params
from openai.types.chat import completion_create_params as chat_create_params
from typing_extensions import get_type_hints, is_typeddict

from adapters.openai import extensions, messages, thinking
from adapters.options import KNOWN, RETIRED
from tests.conformance.rows import Endpoint

Parameters = dict[str, list[str]]
"""The paths of parameters that have no parts, in the SDK's order, with their values where the SDK lists them."""


@cache
def parameters(endpoint: Endpoint) -> Parameters:
    """Return the parameters of an endpoint."""
    match endpoint:
        case "POST /v1/chat/completions":
            return _parts(chat_create_params.CompletionCreateParams) | _THINKING | _extensions(extensions.TEXT)
        case "POST /v1/completions":
            return _parts(completion_create_params.CompletionCreateParams) | _extensions(extensions.COMPLETION)
        case "POST /v1/embeddings":
            return _parts(embedding_create_params.EmbeddingCreateParams) | _extensions(extensions.TEXT)
        case "GET /v1/models":
            return _arguments(Models.list)
        case "GET /v1/models/{model}":
            return _arguments(Models.retrieve)
        case "DELETE /v1/models/{model}":
            return _arguments(Models.delete)


_THINKING: Parameters = {
    **{f"messages[].{name}": [] for name in messages._THINKING},
    "messages[].reasoning_details[].text": [],
    **{f"reasoning.{name}": [] for name in sorted(thinking._REASONING)},
}
"""What callers of other servers send of thinking and have it do."""


def _extensions(fields: extensions.Table) -> Parameters:
    return {name: [] for name in ("options", "options.stop", "ollama", *fields, *KNOWN, *sorted(RETIRED))}


def _arguments(method: Any) -> Parameters:
    """Return the arguments of a method that are the endpoint's own; an empty one stands for none."""
    every_call = {"self", "extra_headers", "extra_query", "extra_body", "timeout"}
    return {name: [] for name in inspect.signature(method).parameters if name not in every_call} or {"": []}


def _parts(kind: Any) -> Parameters:
    found: Parameters = {}
    _walk(kind, "", found)
    return found


def _walk(kind: Any, path: str, found: Parameters) -> None:
    if is_typeddict(kind):
        hints = get_type_hints(kind)
        for name, hint in hints.items():
            if name == "type" and set(get_args(hint)) & hints.keys():
                continue  # what is of the type `function` has a part of that name
            _walk(hint, f"{path}.{name}".removeprefix("."), found)
        return
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        known = found.setdefault(path, [])
        known += [value for value in arguments if isinstance(value, str) and value not in known]
    elif origin in (list, collections.abc.Iterable, collections.abc.Sequence):
        _walk(arguments[0], f"{path}[]", found)
    elif arguments and origin is not dict:
        for argument in arguments:
            if not (str in arguments and get_origin(argument) is Literal):  # any word, of which some are suggested
                _walk(argument, path, found)
    elif kind is not type(None):
        found.setdefault(path, [])
