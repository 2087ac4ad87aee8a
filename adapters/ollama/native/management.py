"""The bodies of requests that manage models: pull, push, create, copy and delete (wire.md 1.11).

Only what decides where a request goes is read. Whatever a host can judge by itself, such as a missing name or a field
of the wrong type, is left to it, and its body is sent as it came wherever possible. All of them raise `InvalidRequest`
for a body that is no JSON, and nothing else, unless said otherwise.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from adapters.ollama.native.body import Body, decode_body
from adapters.ollama.native.modelfile import Modelfile, decode_modelfile
from adapters.types import Call


class Transfer(Struct, frozen=True, kw_only=True):
    """A pull or a push.

    Attributes:
        model: The model as the caller names it; empty when it does not.
        stream: Whether the caller wants to see the progress.
        body: What the caller sent, as `Body` has it.
        streamed: The same, asking for progress: byte for byte, unless the caller wants none.
    """

    model: str
    stream: bool
    body: bytes
    streamed: bytes


class Create(Transfer, frozen=True, kw_only=True):
    """A new model, from another one or from files; a legacy Modelfile is translated in both bodies.

    Attributes:
        source: The model that it is made from; empty when it is made from files, or from nothing.
        blobs: The digests of the files it is made of, each once, in order.
        legacy: Whether it came as a Modelfile.
        ignored: The parameters of a Modelfile that Ollama no longer has, as paths.
    """

    source: str = ""
    blobs: tuple[str, ...] = ()
    legacy: bool = False
    ignored: tuple[str, ...] = ()


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
    legacy = body.get("from") in (None, "") and body.get("files") in (None, {}) and body.text("modelfile") != ""
    said = decode_modelfile(body.text("modelfile")) if legacy else Modelfile({})
    files = [said.fields.get(name, body.get(name)) for name in ("files", "adapters", "draft_files")]
    return Create(
        model=_model(body),
        stream=_stream(body),
        body=body.with_fields(said.fields),
        streamed=_streamed(body, said.fields),
        source=said.fields.get("from", body.text("from")),
        blobs=tuple(dict.fromkeys(digest for digests in files for digest in _digests(digests))),
        legacy=legacy,
        ignored=said.ignored,
    )


def decode_copy(data: bytes) -> Copy:
    """Return what is copied."""
    body = decode_body(data)
    return Copy(source=body.text("source"), destination=body.text("destination"), body=body.data)


def decode_delete(data: bytes) -> Delete:
    """Return what is deleted."""
    body = decode_body(data)
    return Delete(model=_model(body), body=body.data)


def encode_delete(model: str) -> Call:
    """Return the call that takes a model from a host."""
    body = msgspec.json.encode({"model": model})
    return Call(method="DELETE", target="/api/delete", headers=((b"content-type", b"application/json"),), body=body)


def _model(body: Body) -> str:
    """Return the model, by today's field or the older one, as Ollama chooses between them."""
    return body.text("model") or body.text("name")


def _stream(body: Body) -> bool:
    return body.get("stream") is not False


def _streamed(body: Body, changes: dict[str, Any]) -> bytes:
    return body.with_fields(changes if _stream(body) else {**changes, "stream": True})


def _digests(files: Any) -> list[str]:
    """Return the digests of a map from names to digests; a host refuses what is none."""
    return [digest for digest in files.values() if isinstance(digest, str)] if isinstance(files, dict) else []
