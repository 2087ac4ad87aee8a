"""Chats with a host: `POST /api/chat` and its answer (wire.md 1.4, 1.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from adapters.ollama.answer import LINE_LIMIT, AnswerDecoder, CalledTool, Frame
from adapters.ollama.inventory import Version
from adapters.ollama.sending import SentText, encode_call, encode_options, encode_think
from adapters.ollama.tools import WireTool, encode_tool
from adapters.types import Call, ChatRequest, Delta, Event, Message, Profile, ToolCall

# --- the request ------------------------------------------------------------------------------------------------------


class _SentFunction(Struct, frozen=True):
    index: int
    name: str
    arguments: Raw


class _SentToolCall(Struct, frozen=True):
    id: str
    function: _SentFunction


class _SentMessage(Struct, frozen=True, omit_defaults=True):
    role: str
    content: str
    thinking: str = ""
    images: tuple[str, ...] = ()
    tool_calls: tuple[_SentToolCall, ...] = ()
    tool_name: str = ""
    tool_call_id: str = ""


class _SentChat(SentText, frozen=True, omit_defaults=True, kw_only=True):
    messages: list[_SentMessage]
    tools: tuple[WireTool, ...] = ()


def encode_request(
    request: ChatRequest, *, model: str = "", profile: Profile | None = None, version: Version | None = None
) -> Call:
    """Return the call that asks a host for a chat.

    Only what the caller said is sent, and `stream`, which Ollama takes for true when it is absent. Images and sounds go
    together into `images`, where the host tells them apart by their bytes. Tools go with schemas that survive the host
    (`adapters.ollama.tools`). A schema in `format` goes as it is; models whose template is Jinja get its properties in
    alphabetical order from Ollama 0.30 on, and answer in that order.

    Args:
        request: What is asked.
        model: The host's name for the model; the request's when empty.
        profile: What the host says of the model. Its own stops are added to the caller's, which would replace them.
        version: What the host runs; None for a recent release.

    Raises:
        InvalidRequest: `format` is nested more deeply than can be written.
    """
    chat = _SentChat(
        model=model or request.model,
        messages=[_encode_message(message) for message in request.messages],
        stream=request.stream,
        tools=tuple(encode_tool(tool) for tool in request.tools),
        format=request.format,
        think=encode_think(request.think, version),
        options=encode_options(request, profile),
        keep_alive=request.keep_alive,
        truncate=request.truncate,
        shift=request.shift,
        logprobs=request.logprobs,
        top_logprobs=request.top_logprobs,
        render_only=request.render_only,
    )
    return encode_call("/api/chat", chat, format_param="response_format")


def _encode_message(message: Message) -> _SentMessage:
    return _SentMessage(
        role=message.role,
        content=message.text,
        thinking=message.thinking,
        images=tuple(media.data for media in message.media),
        tool_calls=tuple(
            _SentToolCall(id=call.id, function=_SentFunction(call.index, call.name, call.arguments))
            for call in message.tool_calls
        ),
        tool_name=message.tool_name,
        tool_call_id=message.tool_call_id,
    )


# --- the answer -------------------------------------------------------------------------------------------------------


class _Message(Struct, gc=False):
    content: str = ""
    thinking: str = ""
    tool_calls: tuple[CalledTool, ...] = ()


class _Frame(Frame, gc=False):
    message: _Message | None = None


_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


class StreamDecoder(AnswerDecoder[_Frame]):
    """Reads a host's answer to a chat.

    Args:
        prompt_characters, num_predict, model, limit: As for every answer.
        call_id: Makes the id of a tool call that has none, from its place within the answer.
    """

    def __init__(
        self,
        *,
        prompt_characters: int = 0,
        num_predict: int | None = None,
        call_id: Callable[[int], str],
        model: str = "",
        limit: int = LINE_LIMIT,
    ) -> None:
        super().__init__(
            _decode_frame, prompt_characters=prompt_characters, num_predict=num_predict, model=model, limit=limit
        )
        self._call_id = call_id

    def _take(self, frame: _Frame, events: list[Event]) -> bool:
        message, logprobs = frame.message, frame.logprobs
        if message is None:
            return False
        text, thinking, calls = message.content, message.thinking, message.tool_calls
        if not (thinking or calls or logprobs):
            if text:
                self._pieces += 1
                self._said += len(text)
                events.append(Delta(text=text))
            return True
        self._pieces += 1
        self._said += len(text)
        self._thought += len(thinking)
        if thinking and not text:
            logprobs = ()  # those of thinking tokens; an answer has none for them
        tool_calls = tuple(map(self._tool_call, calls))
        events.append(Delta(text=text, thinking=thinking, tool_calls=tool_calls, logprobs=logprobs))
        return True

    def _tool_call(self, call: CalledTool) -> ToolCall:
        index = self._calls
        self._calls += 1
        arguments = bytes(call.function.arguments)
        if arguments == b"null":
            arguments = b"{}"
        _decode_object(arguments)
        self._said += len(arguments)
        return ToolCall(
            id=call.id or self._call_id(index), name=call.function.name, arguments=Raw(arguments), index=index
        )
