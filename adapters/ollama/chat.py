"""Chats with a host: `POST /api/chat` and its answer (wire.md 1.4, 1.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct, field

from adapters.errors import GatewayError, HostBroken, InvalidRequest
from adapters.framing import Lines, LineTooLongError
from adapters.ollama.errors import decode_error
from adapters.ollama.inventory import Version
from adapters.ollama.tools import WireTool, encode_tool
from adapters.options import RETIRED
from adapters.types import (
    Call,
    ChatRequest,
    Delta,
    Event,
    Failure,
    Finish,
    KeepAlive,
    Message,
    Profile,
    Schema,
    Think,
    TokenLogprob,
    ToolCall,
    Usage,
)

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


class _SentChat(Struct, frozen=True, omit_defaults=True):
    model: str
    messages: list[_SentMessage]
    stream: bool
    tools: tuple[WireTool, ...] = ()
    format: str | Schema | None = None
    think: Think | None = None
    options: dict[str, Any] = {}
    keep_alive: KeepAlive | None = None
    truncate: bool | None = None
    shift: bool | None = None
    logprobs: bool = False
    top_logprobs: int | None = None
    render_only: bool = field(default=False, name="_debug_render_only")


_HEADERS = ((b"content-type", b"application/json"),)

_THINKS_TO_THE_MAX = Version(0, 22)
"""The first release that knows the level `max` (wire.md 0)."""


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
    think = request.think
    if think == "max" and version is not None and version < _THINKS_TO_THE_MAX:
        think = "high"
    chat = _SentChat(
        model=model or request.model,
        messages=[_encode_message(message) for message in request.messages],
        stream=request.stream,
        tools=tuple(encode_tool(tool) for tool in request.tools),
        format=request.format,
        think=think,
        options=_encode_options(request, profile),
        keep_alive=request.keep_alive,
        truncate=request.truncate,
        shift=request.shift,
        logprobs=request.logprobs,
        top_logprobs=request.top_logprobs,
        render_only=request.render_only,
    )
    try:
        body = msgspec.json.encode(chat)
    except RecursionError as error:
        raise InvalidRequest("The response format is nested too deeply.", param="response_format") from error
    return Call(method="POST", target="/api/chat", headers=_HEADERS, body=body)


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


def _encode_options(request: ChatRequest, profile: Profile | None) -> dict[str, Any]:
    options = {name: value for name, value in request.options.items() if name not in RETIRED}
    if options.get("num_predict") == 0:
        # Some hosts take it for no limit and some for one token (wire.md 1.8).
        del options["num_predict"]
    if request.stop:
        own = profile.stops if profile else ()
        options["stop"] = tuple(dict.fromkeys((*request.stop, *own)))
    return options


# --- the answer -------------------------------------------------------------------------------------------------------

_Count = Annotated[int, Meta(ge=0)]


class _Function(Struct, gc=False):
    name: str
    arguments: Raw = Raw(b"{}")


class _ToolCall(Struct, gc=False):
    function: _Function
    id: str = ""


class _Message(Struct, gc=False):
    content: str = ""
    thinking: str = ""
    tool_calls: tuple[_ToolCall, ...] = ()


class _Frame(Struct, gc=False):
    """One line of an answer. What it does not name is passed over unread."""

    message: _Message | None = None
    done: bool = False
    error: Any = None
    logprobs: tuple[TokenLogprob, ...] = ()
    done_reason: str = ""
    total_duration: _Count = 0
    load_duration: _Count = 0
    prompt_eval_count: _Count = 0
    prompt_eval_cached_count: _Count | None = None
    prompt_eval_duration: _Count = 0
    eval_count: _Count = 0
    eval_duration: _Count = 0
    debug: dict[str, Any] | None = field(default=None, name="_debug_info")


_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode

_TIMINGS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration", "done_reason")

_CHARACTERS_PER_TOKEN = 4
"""For the estimate of a usage that the host does not give."""


class StreamDecoder:
    """Reads a host's answer to a chat, a stream of lines or one object alike. Made for one answer.

    Nothing that a host sends makes it raise: what is no answer becomes a `Failure`. After a `Finish` or a `Failure`
    there are no more events.

    Args:
        prompt_characters: How long the prompt is, for an estimate of its tokens.
        num_predict: The limit of tokens that was asked for; it tells why an answer ended that does not say so.
        call_id: Makes the id of a tool call that has none, from its place within the answer.
        model: The model as the caller named it, for errors.
        limit: The longest line, in bytes: that of Ollama's own client (wire.md 1.1).

    Attributes:
        finished: Whether the last event was a `Finish` or a `Failure`.
    """

    def __init__(
        self,
        *,
        prompt_characters: int = 0,
        num_predict: int | None = None,
        call_id: Callable[[int], str],
        model: str = "",
        limit: int = 8 * 1024 * 1024,
    ) -> None:
        self.finished = False
        self._prompt_characters = prompt_characters
        self._num_predict = num_predict
        self._call_id = call_id
        self._model = model
        self._lines = Lines(limit)
        self._begun = False
        self._pieces = 0
        self._said = 0
        self._thought = 0
        self._calls = 0

    def feed(self, data: bytes) -> list[Event]:
        """Return what these bytes complete."""
        events: list[Event] = []
        if self.finished:
            return events
        try:
            self._read(self._lines.feed(data), events)
        except LineTooLongError as error:
            self._read(error.before, events)
            if not self.finished:
                events.append(self._fail(_unreadable("a line is over its limit")))
        return events

    def close(self, *, framed: bool = True) -> list[Event]:
        """Return what the end of the body leaves to say.

        A host that aborts a repetition ends its answer without a word (wire.md 1.5). The caller gets a `Finish` all the
        same, with a usage that is estimated.

        Args:
            framed: Whether HTTP says where the body ends. Where only the connection's end does, an answer without its
                last line is one that was cut.
        """
        events: list[Event] = []
        if self.finished:
            return events
        self._read(self._lines.close(), events)
        if not self.finished:
            events.append(self._end_unsaid(framed=framed))
        return events

    def _end_unsaid(self, *, framed: bool) -> Event:
        if not framed:
            return self._fail(HostBroken("The host closed the connection before the answer was whole."))
        if not self._begun:
            return self._fail(_unreadable("the body is empty"))
        return self._finish_unsaid()

    def _read(self, lines: list[bytes], events: list[Event]) -> None:
        for line in lines:
            try:
                frame = _decode_frame(line)
                message = frame.message
                if message is not None and frame.error is None:
                    self._begun = True
                    if message.content or message.thinking or message.tool_calls or frame.logprobs:
                        events.append(self._delta(message, frame.logprobs))
                    if not frame.done and frame.debug is None:
                        continue
                events.append(self._end(frame, len(line)))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                if not line.strip():
                    continue
                events.append(self._fail(_unreadable(f"{error}, in a line of {len(line)} bytes")))
            return

    def _delta(self, message: _Message, logprobs: tuple[TokenLogprob, ...]) -> Delta:
        text, thinking = message.content, message.thinking
        self._pieces += 1
        self._said += len(text)
        if not (thinking or message.tool_calls or logprobs):
            return Delta(text=text)
        self._thought += len(thinking)
        if thinking and not text:
            logprobs = ()  # those of thinking tokens; an answer has none for them
        return Delta(
            text=text,
            thinking=thinking,
            tool_calls=tuple(map(self._tool_call, message.tool_calls)),
            logprobs=logprobs,
        )

    def _tool_call(self, call: _ToolCall) -> ToolCall:
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

    def _end(self, frame: _Frame, length: int) -> Finish | Failure:
        """Return the event of a frame after which nothing comes, from a line of this many bytes."""
        if frame.error is not None:
            # Without the rest of the line, which may be a part of the answer and would go to the log.
            return self._fail(decode_error(500, msgspec.json.encode({"error": frame.error}), self._model))
        if not frame.done and frame.debug is None:
            return self._fail(_unreadable(f"no part of an answer, in a line of {length} bytes"))
        timings = {name: value for name in _TIMINGS if (value := getattr(frame, name))}
        if frame.debug is not None:
            timings["_debug_info"] = frame.debug
        usage = Usage(
            prompt=frame.prompt_eval_count,
            completion=frame.eval_count,
            cached=frame.prompt_eval_cached_count,
            thinking=self._share_of_thinking(frame.eval_count),
        )
        return self._finish(usage, timings, cut=frame.done_reason == "length")

    def _finish_unsaid(self) -> Finish:
        """Return the end that the host did not send."""
        # A piece of a stream is at least one token; an answer in one piece is told by its length.
        completion = max(self._pieces, _tokens(self._said + self._thought))
        usage = Usage(
            prompt=_tokens(self._prompt_characters),
            completion=completion,
            thinking=self._share_of_thinking(completion),
            estimated=True,
        )
        limit = self._num_predict or 0
        return self._finish(usage, {}, cut=0 < limit <= completion)

    def _finish(self, usage: Usage, timings: dict[str, Any], *, cut: bool) -> Finish:
        self.finished = True
        reason: Literal["stop", "length", "tool_calls"] = "length" if cut else "tool_calls" if self._calls else "stop"
        return Finish(reason=reason, usage=usage, timings=timings)

    def _fail(self, error: GatewayError) -> Failure:
        self.finished = True
        return Failure(error)

    def _share_of_thinking(self, completion: int) -> int:
        characters = self._said + self._thought
        return round(completion * self._thought / characters) if characters else 0


def _tokens(characters: int) -> int:
    return -(-characters // _CHARACTERS_PER_TOKEN)


def _unreadable(detail: str) -> HostBroken:
    """Return the error of what is no answer. The detail goes to the log and so holds no word of the answer."""
    return HostBroken("The host's answer cannot be read, or is not whole. Try again.", detail=detail)
