"""What a model can do, held against what is asked of it, where the host would not say or would say it badly."""

from __future__ import annotations

from msgspec.structs import replace

from adapters.errors import InvalidRequest
from adapters.types import ChatRequest, Profile

_NEEDED = {"image": "vision", "audio": "audio"}


def needs_profile(request: ChatRequest) -> bool:
    """Whether a request can only be sent rightly when the model's profile is known.

    Its own stop texts are lost when the request has some (wire.md 1.8); a host refuses to think with a model that
    cannot; and Ollama 0.24 answers as if it saw a picture that the model cannot see (wire.md 2).
    """
    return bool(request.stop or request.think or any(message.media for message in request.messages))


def fit(request: ChatRequest, profile: Profile) -> ChatRequest:
    """Return the request as the model can serve it.

    A model that cannot think answers without; the field by which the caller asked for it is named as ignored.

    Raises:
        InvalidRequest: A message has a picture or sound, and the model is known not to take it.
    """
    if not profile.capabilities:
        return request
    for index, message in enumerate(request.messages):
        for media in message.media:
            if _NEEDED[media.kind] not in profile.capabilities:
                raise InvalidRequest(
                    f"The model {request.model!r} does not take {media.kind} input. Leave it out, or choose a model "
                    f"with the capability {_NEEDED[media.kind]!r}.",
                    param=f"messages[{index}].content",
                    code="unsupported_value",
                )
    if request.think and "thinking" not in profile.capabilities:
        asked = (request.think_param,) if request.think_param else ()
        return replace(request, think=None, ignored=request.ignored + asked)
    return request
