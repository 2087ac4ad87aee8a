"""The frames of an answer: made one by one, sent as lines or folded into one body (wire.md 1.5, 1.7)."""

from __future__ import annotations

import random
import string
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, TypedDict, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from gateway.simulator.answers import Answer, Refusal, Stream, refuse, reply
from gateway.simulator.finding import Call
from gateway.simulator.golang import encode, timestamp


class Called(Struct, frozen=True):
    """A called function: its place in the answer, its name and its arguments."""

    index: int
    name: str
    arguments: dict[str, Any]


class CalledTool(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A call of a tool."""

    id: str = ""
    function: Called


class ReplyMessage(Struct, frozen=True, omit_defaults=True):
    """The message of a chat frame."""

    role: str
    content: str
    thinking: str = ""
    tool_calls: list[CalledTool] = []


class Rendered(Struct, frozen=True, omit_defaults=True):
    """What `_debug_render_only` answers."""

    rendered_template: str
    image_count: int = 0


def _now() -> str:
    return timestamp(time.time_ns())


class Metrics(TypedDict, total=False):
    """The counts and durations of the last frame; durations are in nanoseconds."""

    total_duration: int
    load_duration: int
    prompt_eval_count: int
    prompt_eval_cached_count: int
    prompt_eval_duration: int
    eval_count: int
    eval_duration: int


class ChatFrame(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A frame of `/api/chat`. Fields without a default are always written, the others only when they are not zero."""

    model: str
    created_at: str = field(default_factory=_now)
    message: ReplyMessage
    done: bool
    done_reason: str = ""
    debug_info: Rendered | None = field(default=None, name="_debug_info")
    logprobs: list[dict[str, Any]] = []
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_cached_count: int | None = None
    prompt_eval_duration: int = 0
    eval_count: int = 0
    eval_duration: int = 0


class GenerateFrame(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A frame of `/api/generate`."""

    model: str
    created_at: str = field(default_factory=_now)
    response: str
    thinking: str = ""
    done: bool
    done_reason: str = ""
    context: list[int] = []
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_cached_count: int | None = None
    prompt_eval_duration: int = 0
    eval_count: int = 0
    eval_duration: int = 0
    tool_calls: list[CalledTool] = []
    debug_info: Rendered | None = field(default=None, name="_debug_info")
    logprobs: list[dict[str, Any]] = []


AnyFrame = TypeVar("AnyFrame", bound=Struct)

_ALPHABET = string.ascii_lowercase + string.digits


def call_id(*, native: bool) -> str:
    """Return an id for a call of a tool: llama-server's have another form than Ollama's."""
    if native:
        return "".join(random.choices(string.ascii_letters + string.digits, k=32))
    return "call_" + "".join(random.choices(_ALPHABET, k=8))


def called_tools(calls: Iterable[Call], *, native: bool = False) -> list[CalledTool]:
    """Return calls as a message carries them."""
    return [
        CalledTool(id=call_id(native=native), function=Called(call.index, call.name, call.arguments)) for call in calls
    ]


def gather_chat(frames: Sequence[ChatFrame]) -> ChatFrame:
    """Return the last frame with all that the frames say."""
    messages = [frame.message for frame in frames]
    message = ReplyMessage(
        messages[-1].role,
        "".join(message.content for message in messages),
        "".join(message.thinking for message in messages),
        [call for message in messages for call in message.tool_calls],
    )
    return replace(frames[-1], message=message, logprobs=[entry for frame in frames for entry in frame.logprobs])


def gather_generate(frames: Sequence[GenerateFrame]) -> GenerateFrame:
    """Return the last frame with all that the frames say."""
    return replace(
        frames[-1],
        response="".join(frame.response for frame in frames),
        thinking="".join(frame.thinking for frame in frames),
        logprobs=[entry for frame in frames for entry in frame.logprobs],
    )


async def send(
    frames: AsyncIterator[AnyFrame], gather: Callable[[Sequence[AnyFrame]], AnyFrame], *, stream: bool
) -> Answer:
    """Turn frames into an answer: lines, or one body with everything.

    A refusal before the first frame decides the status; a later one is a line, or the status of the one body.
    """
    try:
        first = await anext(frames)
        if stream:
            return Stream(lines_of(first, frames))
        return reply(gather([first, *[frame async for frame in frames]]))
    except Refusal as refusal:
        return refuse(refusal, streaming=stream)


async def lines_of(first: AnyFrame, frames: AsyncIterator[AnyFrame]) -> AsyncIterator[bytes]:
    """Yield frames as lines; a refusal is the last line."""
    try:
        yield encode(first) + b"\n"
        async for frame in frames:
            yield encode(frame) + b"\n"
    except Refusal as refusal:
        yield encode({"error": refusal.text}) + b"\n"
