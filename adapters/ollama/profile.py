"""What a model can do, held against what is asked of it, before a host would refuse it badly or not at all.

What a model lacks by the host's own word is refused: for `completion`, `tools` and `insert` the host looks at the same
list and refuses too; for `vision`, `audio` and `embedding` it does not look, and what then comes is an error of its
runner, or a wrong answer (wire.md 1.9, 2). Where a host's word is not to be relied on, the host is left to decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from msgspec.structs import replace

from adapters.errors import InvalidRequest, LacksCapability
from adapters.ollama.inventory import Version
from adapters.ollama.native.request import NativeRequest
from adapters.types import (
    ChatRequest,
    EmbedRequest,
    GenerateRequest,
    Media,
    Profile,
    Request,
    TextRequest,
)

RequestT = TypeVar("RequestT", bound=Request)

_MEDIA = {"image": "vision", "audio": "audio"}

_CANNOT = {
    "completion": "does not write text",
    "embedding": "does not make embeddings",
    "tools": "cannot call tools",
    "vision": "cannot see images",
    "audio": "cannot hear sound",
    "insert": "cannot fill in text before a suffix",
}

_WHOLE_FIELDS = frozenset({"tools", "insert"})
"""Capabilities without which a field of the request is of no use, whatever it says."""

_EMBEDS_BY_LIST = Version(0, 30)
"""From here on only models with the capability `embedding` embed. Before, most others did as well (wire.md 1.9)."""

SHOWN = 5
"""The most models that an error names."""


def needs_profile(request: Request) -> bool:
    """Whether a request can be sent better when the model's profile is known.

    The model's own stop texts are lost when the request has some (wire.md 1.8); a host refuses to think with a model
    that cannot; and there is what must be known. What else a model lacks a host says by itself.
    """
    return must_know(request) or (isinstance(request, TextRequest) and bool(request.stop or request.think))


def must_know(request: Request) -> bool:
    """Whether a request cannot be sent at all without the model's profile.

    Ollama 0.24 answers as if it saw a picture that the model cannot see (wire.md 2), and every host passes over
    `dimensions` that are more than the model has (wire.md 1.9).
    """
    if isinstance(request, EmbedRequest):
        return request.dimensions is not None
    return any(_media(request))


def can_think(profile: Profile | None) -> bool:
    """Whether a model is known to think before it answers."""
    return profile is not None and "thinking" in profile.capabilities


def fit(request: RequestT, profile: Profile, version: Version | None = None) -> RequestT:
    """Return the request as the model can serve it.

    A model that cannot think answers without; the field by which the caller asked for it is named as ignored.

    Args:
        request: What is asked.
        profile: What the host says of the model; a host that tells no capabilities is too old to know them.
        version: What the host runs; None when that is not known.

    Raises:
        LacksCapability: The model is known not to be able to do it.
        InvalidRequest: Longer vectors are wanted than the model makes.
    """
    if isinstance(request, NativeRequest):
        return request  # the host says by itself, in its own words, what its model cannot do
    capabilities = profile.capabilities
    if isinstance(request, ChatRequest) and "completion" in capabilities and _is_plain(request):
        return request
    if capabilities:
        for capability, param in _needs(request, version):
            if capability not in capabilities:
                raise LacksCapability(
                    f"The model {request.model!r} {_CANNOT[capability]} (it lacks the capability {capability!r}).",
                    capability=capability,
                    param=param,
                    code="unsupported_parameter" if capability in _WHOLE_FIELDS else None,
                )
        if isinstance(request, TextRequest) and request.think and "thinking" not in capabilities:
            asked = (request.think_param,) if request.think_param else ()
            return replace(request, think=None, ignored=request.ignored + asked)
    if isinstance(request, EmbedRequest):
        _check_dimensions(request, profile)
    return request


def offers(profile: Profile, capability: str) -> bool:
    """Whether a model is one to turn to for a capability: it has it, and is not only made for embeddings."""
    kind = "embedding" if capability == "embedding" else "completion"
    return {capability, kind} <= profile.capabilities


def lacking(error: LacksCapability, able: Sequence[str]) -> LacksCapability:
    """Return an error of `fit`, or of a host, with the names of models that can do what the one asked for cannot."""
    more = f" and {len(able) - SHOWN} more" if len(able) > SHOWN else ""
    hint = f"Models here that can: {', '.join(able[:SHOWN])}{more}." if able else "No model here can."
    message = f"{error.message} {hint}"
    return LacksCapability(
        message, capability=error.capability, param=error.param, code=error.code, detail=error.detail
    )


def _is_plain(request: ChatRequest) -> bool:
    """Whether a chat takes no more than `completion`, as most do."""
    return not (request.tools or request.think) and not any(message.media for message in request.messages)


def _needs(request: Request, version: Version | None) -> Iterator[tuple[str, str]]:
    """Yield the capabilities that a request takes, each with the field that asks for it."""
    if isinstance(request, EmbedRequest):
        if version is not None and version >= _EMBEDS_BY_LIST:
            yield "embedding", "model"
        return
    yield "completion", "model"
    if isinstance(request, ChatRequest) and request.tools:
        yield "tools", "functions" if request.legacy_functions else "tools"
    if isinstance(request, GenerateRequest) and request.suffix:
        yield "insert", "suffix"
    for media, param in _media(request):
        yield _MEDIA[media.kind], param


def _media(request: Request) -> Iterator[tuple[Media, str]]:
    """Yield the images and sounds of a request, each with the field it came in."""
    if isinstance(request, ChatRequest):
        for index, message in enumerate(request.messages):
            for media in message.media:
                yield media, f"messages[{index}].content"
    for media in request.media if isinstance(request, GenerateRequest) else ():
        yield media, "images"


def _check_dimensions(request: EmbedRequest, profile: Profile) -> None:
    wanted, most = request.dimensions, profile.embedding_length
    if wanted is not None and most is not None and wanted > most:
        raise InvalidRequest(
            f"The model {request.model!r} makes vectors of {most} dimensions, and {wanted} were asked for. "
            f"Ask for {most} at most, or leave `dimensions` out.",
            param="dimensions",
        )
