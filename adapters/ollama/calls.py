"""Which call of Ollama's native API answers which request, and how its answer is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from adapters.errors import GatewayError
from adapters.ollama import chat, embed, generate
from adapters.ollama.errors import decode_error
from adapters.ollama.inventory import Version
from adapters.ollama.native import relay
from adapters.ollama.native import request as native
from adapters.types import Call, ChatRequest, EmbedRequest, Event, GenerateRequest, Profile, Request


class Decoder(Protocol):
    """Reads a host's answer, however its bytes arrive. Made for one answer; nothing that a host sends makes it raise.

    Attributes:
        finished: Whether the last event was a `Finish` or a `Failure`; there are no more events then.
    """

    finished: bool

    def feed(self, data: bytes) -> list[Event]:
        """Return what these bytes complete."""

    def close(self, *, framed: bool = True) -> list[Event]:
        """Return what the end of the body leaves to say.

        Args:
            framed: Whether HTTP says where the body ends, so that an end without a last word was meant.
        """


def encode_request(request: Request, *, model: str, profile: Profile | None, version: Version | None) -> Call:
    """Return the call that asks a host what is requested.

    Args:
        request: What is asked.
        model: The host's name for the model.
        profile: What the host says of the model, where that is known.
        version: What the host runs; None for a recent release.

    Raises:
        InvalidRequest: The request cannot be written.
    """
    match request:
        case ChatRequest():
            return chat.encode_request(request, model=model, profile=profile, version=version)
        case GenerateRequest():
            return generate.encode_request(request, model=model, profile=profile, version=version)
        case EmbedRequest():
            return embed.encode_request(request, model=model)
        case native.NativeRequest():
            return native.encode_request(request, model=model)
        case _:
            raise TypeError(request)


def decoder(request: Request, *, call_id: Callable[[int], str]) -> Decoder:
    """Return what reads the answer to a request.

    Args:
        request: What was asked.
        call_id: Makes the id of a tool call that has none, from its place within the answer.
    """
    match request:
        case ChatRequest():
            return chat.StreamDecoder(
                prompt_characters=sum(len(message.text) for message in request.messages),
                num_predict=request.options.get("num_predict"),
                call_id=call_id,
                model=request.model,
            )
        case GenerateRequest():
            return generate.StreamDecoder(
                prompt_characters=len(request.prompt) + len(request.suffix) + len(request.system or ""),
                num_predict=request.options.get("num_predict"),
                model=request.model,
                split_thoughts=generate.may_begin_with_thought(request),
            )
        case EmbedRequest():
            return embed.VectorsDecoder(
                inputs=len(request.inputs),
                dimensions=request.dimensions,
                characters=sum(map(len, request.inputs)),
                model=request.model,
            )
        case native.NativeRequest():
            return relay.RelayDecoder(request)
        case _:
            raise TypeError(request)


_LEGACY = {"tools": "functions"}
"""What a caller who gave `functions` calls fields, by the names that other chats have for them."""


def decode_refusal(request: Request, status: int, body: bytes) -> GatewayError:
    """Return the error that a host's refusal of a request means.

    Args:
        request: What was asked.
        status: The HTTP status.
        body: The whole body.
    """
    match request:
        case GenerateRequest():
            return decode_error(status, body, request.model, prompt="prompt", names=generate.NAMES)
        case EmbedRequest():
            return decode_error(status, body, request.model, prompt="input")
        case ChatRequest(legacy_functions=True):
            return decode_error(status, body, request.model, names=_LEGACY)
        case _:
            return decode_error(status, body, request.model)
