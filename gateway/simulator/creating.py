"""`/api/create`: a model from another, or from files of weights (wire.md 1.11).

Safetensors are not converted, and no stand-ins for models of the cloud are made.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping

from msgspec.structs import replace

from gateway.simulator import names
from gateway.simulator.answers import Answer, Refusal
from gateway.simulator.deriving import derived, from_files, layers_of, quantized, wanted_quantization
from gateway.simulator.disk import GGUF, STORE, Blob
from gateway.simulator.host import Host
from gateway.simulator.incoming import SimulatedRequest
from gateway.simulator.management_requests import CreateRequest, read_create
from gateway.simulator.model import Layer, SimulatedModel
from gateway.simulator.names import Name
from gateway.simulator.progress import Progress, tell
from gateway.simulator.pulling import pull_model

_DIGEST = re.compile(r"sha256[:-]([0-9a-fA-F]{64})\Z")
_UNNAMED = "0000000000000000000"
"""What progress calls a file that has no digest yet."""


async def create(host: Host, request: SimulatedRequest) -> Answer:
    """Answer a request to `/api/create`.

    Raises:
        Refusal: 400 for a malformed body, name or path. Whatever else goes wrong is told in the answer.
    """
    asked = read_create(request.body)
    if any(part in ("", ".", "..") for path in asked.files or {} for part in path.split("/")):
        raise Refusal(400, "file path must be relative")
    if "" in (*(asked.files or {}).values(), *(asked.adapters or {}).values()):
        raise Refusal(400, "invalid digest format")
    name = names.parse(asked.model or asked.name)
    if name is None:
        raise Refusal(400, "invalid model name")
    return await tell(_create(host, request, name, asked), stream=asked.stream)


async def _create(host: Host, request: SimulatedRequest, name: Name, asked: CreateRequest) -> AsyncIterator[Progress]:
    """Make a model. Only its end changes the host, so one that is broken off leaves nothing.

    Raises:
        Refusal: As a real host refuses it.
    """
    if asked.base:
        base = names.parse(asked.base)
        if base is None:
            raise Refusal(400, "invalid model name")
        if base.key not in host.models:
            async for step in pull_model(host, request, base, insecure=False):
                yield step
        source = host.models[base.key]
        source = replace(source, parent=source.full_name.short)
    elif asked.files is not None:
        if not _are_gguf(host, asked.files):
            raise Refusal(400, "unknown type")
        blobs = []
        for _, digest in sorted(asked.files.items()):
            yield Progress("parsing GGUF")
            blobs.append(_gguf(host, digest))
        source = from_files(_first(asked.files), sum(blob.size for blob in blobs), native=host.at_least(0, 30))
    else:
        raise Refusal(400, "neither 'from' or 'files' was specified")
    if asked.adapters is not None:
        if len(asked.adapters) != 1:
            raise Refusal(400, "only one adapter is currently supported" if asked.adapters else "unknown type")
        yield Progress("parsing GGUF")
        digest = _first(asked.adapters)
        source = replace(source, adapter=Layer("adapter", digest, _gguf(host, digest, missing=400).size))
    want = wanted_quantization(source, asked)
    if want is not None:
        async for step in _work(host, f"quantizing {source.quantization} model to {want}", source):
            yield step
        source = quantized(source, want)
    elif not asked.base and host.at_least(0, 30):
        async for step in _work(host, "validating GGUF model", source):
            yield step
    model = derived(source, host.spelling(name), asked)
    known = set(host.blobs)
    for layer in layers_of(source, model, asked):
        yield Progress(f"{'using existing' if layer.digest in known else 'creating new'} layer {layer.digest}")
        known.add(layer.digest)
    yield Progress("writing manifest")
    host.add(model)
    yield Progress("success")


def _first(files: Mapping[str, str]) -> str:
    """Return the digest of the first file, with its usual colon."""
    return min(files.items())[1].replace("-", ":", 1)


def _are_gguf(host: Host, files: Mapping[str, str]) -> bool:
    """Tell whether files are weights, by the name or the content of one."""
    if any(path.endswith(".gguf") for path in files):
        return True
    blobs = (host.blob(digest.replace("-", ":", 1)) for digest in files.values())
    return any(blob is not None and blob.head == GGUF for blob in blobs)


def _gguf(host: Host, digest: str, *, missing: int = 500) -> Blob:
    """Return a blob of weights.

    Raises:
        Refusal: 400 when it is none, `missing` when it is not here or cannot be.
    """
    found = _DIGEST.match(digest)
    if found is None:
        raise Refusal(missing, "invalid digest format")
    blob = host.blob(f"sha256:{found[1]}")
    if blob is None:
        raise Refusal(missing, f"open {STORE}/blobs/sha256-{found[1]}: no such file or directory")
    if blob.head != GGUF:
        raise Refusal(400, "supplied file was not in GGUF format")
    return blob


async def _work(host: Host, status: str, model: SimulatedModel) -> AsyncIterator[Progress]:
    """Tell of work on the weights of a model, which takes as long as a download of them."""
    steps = max(host.pull_steps, 1)
    for step in range(1, steps + 1):
        await asyncio.sleep(host.pull_seconds / steps)
        yield Progress(status, _UNNAMED, model.size, model.size * step // steps)
    yield Progress("verifying conversion")
