"""Native requests to a model: of their bodies only what decides where they go, and what the configuration adds.

Everything else stays as the caller wrote it, down to the byte where nothing has to change (wire.md 1.4, 1.7, 1.9).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import field

from adapters.ollama.names import canonical
from adapters.ollama.native.body import NULL, Body, decode_body
from adapters.types import Call, KeepAlive, Request, Think, json_call

CHAT = "/api/chat"
GENERATE = "/api/generate"
EMBED = "/api/embed"
EMBEDDINGS = "/api/embeddings"
SHOW = "/api/show"

_SAY_WHEN_EMPTY: dict[str, Callable[[Body], bool]] = {
    CHAT: lambda body: not body.has("messages") or body.is_empty_list("messages"),
    GENERATE: lambda body: not body.has("prompt") or body.scalar("prompt") == "",
}
"""How a request to write text says that none is wanted: it only loads the model, or unloads it."""

_SETTINGS = {
    CHAT: frozenset({"options", "keep_alive", "think", "truncate"}),
    GENERATE: frozenset({"options", "keep_alive", "think", "truncate"}),
    EMBED: frozenset({"options", "keep_alive", "truncate"}),
    EMBEDDINGS: frozenset({"options", "keep_alive"}),
    SHOW: frozenset[str](),
}
"""Which settings of a model mean something where."""

_NO_TIME = re.compile(r"[+-]?(?:0|(?:(?:0+(?:\.0*)?|\.0+)(?:h|m|s|ms|us|µs|μs|ns))+)")
"""A duration of nothing, as Go writes it."""

_PLAIN = re.compile(r"(?:(?:[\w.:-]+/)?[\w-]+/)?[\w.-]+(?::(?!local\Z)[\w.-]+)?", re.ASCII | re.IGNORECASE)
"""A spelling of a model's name that every version of Ollama understands."""


class NativeRequest(Request, frozen=True, kw_only=True):
    """A request of Ollama's own API that is passed on as it is.

    Attributes:
        path: Where it was asked, and will be asked.
        body: The fields of its body, as the caller wrote them.
        changes: The fields that differ from it on the way to a host, by name.
        runs: Whether the model is loaded for it; else it is only told about.
        unloads: Whether it only asks that the model be taken from memory.
    """

    path: str
    body: Body
    changes: dict[str, Any] = field(default_factory=dict)
    runs: bool = True
    unloads: bool = False


def decode_request(path: str, data: bytes) -> NativeRequest:
    """Return what a body asks for.

    A field of a wrong type is left to a host to refuse, who does it in its own words.

    Args:
        path: Where it was asked.
        data: The body.

    Raises:
        InvalidRequest: It is no JSON, gives one field twice, or has more fields or a longer name than there can be.
    """
    body = decode_body(data)
    empty = _SAY_WHEN_EMPTY.get(path)
    return NativeRequest(
        path=path,
        model=body.name(_naming_field(path, body)),
        stream=empty is not None and body.scalar("stream") is not False,
        body=body,
        runs=path != SHOW,
        unloads=empty is not None and _is_no_time(body.scalar("keep_alive")) and empty(body),
    )


def changes_by(
    request: NativeRequest,
    *,
    options: Mapping[str, Any],
    keep_alive: KeepAlive | None,
    think: Think | None,
    truncate: bool | None,
) -> dict[str, Any]:
    """Return what a model's settings say where the caller said nothing: the fields that change on the way to a host."""
    body, known = request.body, _SETTINGS[request.path]
    said: dict[str, Any] = {"keep_alive": keep_alive, "think": think, "truncate": truncate}
    if body.scalar("raw") is True:
        del said["think"]  # a model is not asked anything there, so its settings do not count
    changes = {
        name: value for name, value in said.items() if name in known and value is not None and not body.has(name)
    }
    if options and "options" in known:
        own = body.fields("options") if body.has("options") else {}
        if own is not None:
            more = {name: value for name, value in options.items() if own.get(name, NULL) == NULL}
            changes |= {"options": {**own, **more}} if more else {}
    return changes


def encode_request(request: NativeRequest, *, model: str) -> Call:
    """Return the call to a host. The body is the caller's own, unless settings or another name change it.

    A name that the gateway understands and the host might not is written as the host writes it: that a host lacks what
    nobody but the gateway can read would be believed of the model.

    Args:
        request: What is asked.
        model: The host's name for the model.

    Raises:
        InvalidRequest: The request cannot be written.
    """
    changes, asked = request.changes, request.model
    if asked != model and not (_PLAIN.fullmatch(asked) and canonical(asked) == canonical(model)):
        changes = {**changes, _naming_field(request.path, request.body): model}
    return json_call(request.path, request.body.with_fields(changes))


def _naming_field(path: str, body: Body) -> str:
    """Return the field that names the model; where it may be the older one, it is so only without the newer one."""
    return "name" if path == SHOW and (not body.has("model") or body.scalar("model") == "") else "model"


def _is_no_time(keep_alive: KeepAlive | None) -> bool:
    """Whether a model is not to be kept at all."""
    if isinstance(keep_alive, str):
        return _NO_TIME.fullmatch(keep_alive) is not None
    return isinstance(keep_alive, int | float) and not isinstance(keep_alive, bool) and keep_alive == 0
