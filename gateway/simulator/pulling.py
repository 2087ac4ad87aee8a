"""`/api/pull` and `/api/push` (wire.md 1.11)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256

from msgspec.structs import replace

from gateway.simulator import names
from gateway.simulator.answers import Answer, Refusal
from gateway.simulator.disk import STORE
from gateway.simulator.host import Host
from gateway.simulator.incoming import SimulatedRequest
from gateway.simulator.management_requests import read_pull, read_push
from gateway.simulator.model import Layer, SimulatedModel
from gateway.simulator.names import Name
from gateway.simulator.progress import Progress, tell


async def pull(host: Host, request: SimulatedRequest) -> Answer:
    """Answer a request to `/api/pull`.

    Raises:
        Refusal: 400 for a malformed body or name. Whatever else goes wrong is told in the answer.
    """
    asked = read_pull(request.body)
    name = names.parse(asked.model or asked.name)
    if name is None:
        raise Refusal(400, "invalid model name")
    return await tell(pull_model(host, request, name, insecure=asked.insecure), stream=asked.stream)


async def pull_model(host: Host, request: SimulatedRequest, name: Name, *, insecure: bool) -> AsyncIterator[Progress]:
    """Bring a model onto the disk.

    Args:
        host: The host.
        request: For whom; when it ends the download ends too, unless another waits for it.
        name: The model.
        insecure: Whether HTTP without TLS will do.

    Raises:
        Refusal: 500 when the registry does not have the model, fails, or sends something else.
    """
    yield Progress("pulling manifest")
    model = _manifest(host, name, insecure=insecure)
    for layer in model.layers:
        if layer.digest in host.blobs:
            yield _progress("pulling", layer, layer.size)
            continue
        # From 0.30 on small layers are there before there is anything to tell.
        told = host.pull_steps > 0 and (layer.kind == "model" or not host.at_least(0, 30))
        async for completed in host.downloads.fetch(layer, request):
            if told:
                yield _progress("pulling", layer, completed)
    yield Progress("verifying sha256 digest")
    if host.registry.is_corrupt(name):
        raise _mismatch(host, model.layers[0])
    yield Progress("writing manifest")
    old = host.models.get(name.key)
    host.add(model)
    if old is not None and not set(old.layers) <= set(model.layers):
        yield Progress("removing unused layers")
    yield Progress("success")


def _manifest(host: Host, name: Name, *, insecure: bool) -> SimulatedModel:
    path = f"manifests/{name.tag}"
    complaint = host.registry.complaint(name, "Get", path, insecure=insecure)
    model = host.registry.find(name)
    if complaint is None and model is None:
        complaint = "file does not exist"
    if complaint is not None or model is None:
        raise Refusal(500, f"pull model manifest: {complaint}")
    return replace(model, name=host.spelling(name), blob=model.weights)


def _mismatch(host: Host, layer: Layer) -> Refusal:
    """Throw a spoiled layer away and return the refusal that says so."""
    host.stored.pop(layer.digest, None)
    got = sha256(layer.digest.encode()).hexdigest()
    return Refusal(500, f"digest mismatch, file must be downloaded again: want {layer.digest}, got sha256:{got}")


def _progress(verb: str, layer: Layer, completed: int) -> Progress:
    return Progress(f"{verb} {layer.digest[7:19]}", layer.digest, layer.size, completed)


async def push(host: Host, request: SimulatedRequest) -> Answer:
    """Answer a request to `/api/push`.

    Raises:
        Refusal: 400 for a malformed body or without a name. Whatever else goes wrong is told in the answer.
    """
    asked = read_push(request.body)
    if not (name := asked.model or asked.name):
        raise Refusal(400, "model is required")
    return await tell(_push_model(host, name, insecure=asked.insecure), stream=asked.stream)


async def _push_model(host: Host, asked: str, *, insecure: bool) -> AsyncIterator[Progress]:
    """Bring a model to its registry.

    Raises:
        Refusal: 500 when it is not here, or the registry fails.
    """
    yield Progress("retrieving manifest")
    name = names.parse(asked)
    model = host.find(asked)
    if name is None or model is None:
        yield Progress("couldn't retrieve manifest")
        raise Refusal(500, _no_manifest(asked, name))
    known = {layer.digest for other in host.registry.models.values() for layer in other.layers}
    for layer in model.layers:
        complaint = host.registry.complaint(name, "Head", f"blobs/{layer.digest}", insecure=insecure)
        if complaint is not None:
            raise Refusal(500, complaint)
        if layer.digest in known:
            yield _progress("pushing", layer, layer.size)
            continue
        steps = max(host.pull_steps, 1) if layer.kind == "model" else 1
        for step in range(steps + 1):
            yield _progress("pushing", layer, layer.size * step // steps)
            await asyncio.sleep(host.pull_seconds / steps if layer.kind == "model" and step < steps else 0)
    yield Progress("pushing manifest")
    host.registry.add(replace(model, blob=model.weights))
    yield Progress("success")


def _no_manifest(asked: str, name: Name | None) -> str:
    if name is None:
        tag = "" if asked.rfind(":") > asked.rfind("/") else ":latest"
        return f"unqualified name: {asked}{tag}"
    path = f"{name.host}/{name.namespace}/{name.model}/{name.tag}"
    return f"open {STORE}/manifests/{path}: no such file or directory"
