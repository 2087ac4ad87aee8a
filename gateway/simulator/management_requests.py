"""The requests of management, read as Ollama reads them (wire.md 1.11)."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gateway.simulator.model import Message
from gateway.simulator.readers import Reader, anything, boolean, mapping, string, texts
from gateway.simulator.requests import messages, read


class TransferRequest(Struct, frozen=True, kw_only=True):
    """A request to `/api/pull` or `/api/push`; `name` is the old spelling of `model`."""

    model: str = ""
    name: str = ""
    insecure: bool = False
    stream: bool = True


class CreateRequest(Struct, frozen=True, kw_only=True):
    """A request to `/api/create`; `name` and `quantization` are old spellings of `model` and `quantize`.

    Attributes:
        base: The field `from`.
        files: Digests of blobs by the names of files; None when the field is not there.
        adapters: The same for adapters.
        license: One text, a list of them, or what is neither.
    """

    model: str = ""
    name: str = ""
    stream: bool = True
    base: str = ""
    files: dict[str, str] | None = None
    adapters: dict[str, str] | None = None
    quantize: str = ""
    quantization: str = ""
    template: str = ""
    system: str = ""
    license: Any = None
    parameters: dict[str, Any] = {}
    messages: tuple[Message, ...] = ()


class CopyRequest(Struct, frozen=True):
    """A request to `/api/copy`."""

    source: str = ""
    destination: str = ""


class DeleteRequest(Struct, frozen=True):
    """A request to `/api/delete`; `name` is the old spelling of `model`."""

    model: str = ""
    name: str = ""


_TRANSFER: dict[str, Reader] = {"model": string, "name": string, "insecure": boolean, "stream": boolean}
_CREATE: dict[str, Reader] = {
    "model": string,
    "name": string,
    "stream": boolean,
    "from": string,
    "files": texts,
    "adapters": texts,
    "quantize": string,
    "quantization": string,
    "template": string,
    "system": string,
    "license": anything,
    "parameters": mapping,
    "messages": messages,
}
_COPY: dict[str, Reader] = {"source": string, "destination": string}
_DELETE: dict[str, Reader] = {"model": string, "name": string}


def read_pull(body: bytes) -> TransferRequest:
    """Read a request to `/api/pull`.

    Raises:
        Refusal: 400, as Ollama words it.
    """
    return TransferRequest(**read(body, "PullRequest", _TRANSFER))


def read_push(body: bytes) -> TransferRequest:
    """Read a request to `/api/push`.

    Raises:
        Refusal: 400, as Ollama words it.
    """
    return TransferRequest(**read(body, "PushRequest", _TRANSFER))


def read_create(body: bytes) -> CreateRequest:
    """Read a request to `/api/create`.

    Raises:
        Refusal: 400, as Ollama words it.
    """
    known = read(body, "CreateRequest", _CREATE)
    return CreateRequest(base=known.pop("from", ""), **known)


def read_copy(body: bytes) -> CopyRequest:
    """Read a request to `/api/copy`.

    Raises:
        Refusal: 400, as Ollama words it.
    """
    return CopyRequest(**read(body, "CopyRequest", _COPY))


def read_delete(body: bytes) -> DeleteRequest:
    """Read a request to `/api/delete`.

    Raises:
        Refusal: 400, as Ollama words it.
    """
    return DeleteRequest(**read(body, "DeleteRequest", _DELETE))
