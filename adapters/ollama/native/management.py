"""The bodies of requests that manage models: pull, push, create, copy and delete (wire.md 1.11).

Only what decides where a request goes is read. Whatever a host can judge by itself, such as a missing name or a field
of the wrong type, is left to it, and its body is sent as it came wherever possible. All of them raise `InvalidRequest`
for a body that is no JSON, or has a name in it that is too long for one, and nothing else, unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

import msgspec
from msgspec import Raw, Struct

from adapters.ollama.native.body import Body, decode_body, decode_text
from adapters.ollama.native.modelfile import Modelfile, decode_modelfile
from adapters.types import Call, json_call

_FILES = ("files", "adapters", "draft_files")


class Transfer(Struct, frozen=True, kw_only=True):
    """A pull or a push.

    Attributes:
        model: The model as the caller names it; empty when it does not.
        stream: Whether the caller wants to see the progress.
        body: What the caller sent, as `Body` has it.
        streamed: The same, asking for progress: byte for byte, unless the caller wants none.
        ignored: What has no effect, as paths: the parameters of a legacy Modelfile that Ollama no longer has.
    """

    model: str
    stream: bool
    body: bytes
    streamed: bytes
    ignored: tuple[str, ...] = ()


class Create(Transfer, frozen=True, kw_only=True):
    """A new model, from another one or from files; a legacy Modelfile is translated in both bodies.

    Attributes:
        source: The model that it is made from; empty when it is made from files, or from nothing.
        blobs: The digests of the files it is made of, each once, in order.
    """

    source: str = ""
    blobs: tuple[str, ...] = ()


class Copy(Struct, frozen=True, kw_only=True):
    """A second name for a model; either name is empty when it is not given."""

    source: str
    destination: str
    body: bytes


class Delete(Struct, frozen=True, kw_only=True):
    """The end of a model; the name is empty when it is not given."""

    model: str
    body: bytes


def decode_pull(data: bytes) -> Transfer:
    """Return what a pull asks for."""
    body = decode_body(data)
    return Transfer(model=_model(body), stream=_stream(body), body=body.data, streamed=_streamed(body, {}))


decode_push = decode_pull
"""Return what a push asks for."""


def decode_create(data: bytes) -> Create:
    """Return what a new model is made of.

    Raises:
        InvalidRequest: The body is no JSON, or has a legacy Modelfile that cannot be translated.
    """
    body = decode_body(data)
    files = {name: body.fields(name) for name in _FILES}
    made_of = (body.has("from") and body.scalar("from") != "") or (body.has("files") and files["files"] != {})
    modelfile = "" if made_of else body.text("modelfile")
    said = decode_modelfile(modelfile) if modelfile else Modelfile({})
    blobs = [said.fields[name].values() if name in said.fields else _digests(files[name]) for name in _FILES]
    return Create(
        model=_model(body),
        stream=_stream(body),
        body=body.with_fields(said.fields),
        streamed=_streamed(body, said.fields),
        ignored=said.ignored,
        source=said.fields.get("from") or body.name("from"),
        blobs=tuple(dict.fromkeys(chain.from_iterable(blobs))),
    )


def decode_copy(data: bytes) -> Copy:
    """Return what is copied."""
    body = decode_body(data)
    return Copy(source=body.name("source"), destination=body.name("destination"), body=body.data)


def decode_delete(data: bytes) -> Delete:
    """Return what is deleted."""
    body = decode_body(data)
    return Delete(model=_model(body), body=body.data)


def encode_delete(model: str) -> Call:
    """Return the call that takes a model from a host."""
    return json_call("/api/delete", msgspec.json.encode({"model": model}), method="DELETE")


def _model(body: Body) -> str:
    """Return the model, by today's field or the older one, as Ollama chooses between them."""
    return body.name("model") or body.name("name")


def _stream(body: Body) -> bool:
    return body.scalar("stream") is not False


def _streamed(body: Body, changes: dict[str, Any]) -> bytes:
    return body.with_fields(changes if _stream(body) else {**changes, "stream": True})


def _digests(files: Mapping[str, Raw] | None) -> list[str]:
    """Return the digests in a map from names to digests; a host refuses what is none."""
    return [digest for value in (files or {}).values() if (digest := decode_text(value)) is not None]
