"""Texts that a host goes on with, or fills in: `POST /api/generate` and its answer (wire.md 1.7)."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from adapters.ollama.answer import LINE_LIMIT, AnswerDecoder, CalledTool, Frame
from adapters.ollama.inventory import Version
from adapters.ollama.sending import SentText, encode_call, encode_options, encode_think
from adapters.ollama.thoughts import SaidTokens, ThoughtSplitter
from adapters.types import Call, Delta, Event, GenerateRequest, Profile, TokenLogprob

NAMES = {
    "messages": "images",
    "response_format": "format",
    "reasoning_effort": "think",
    "top_logprobs": "logprobs",
}
"""The caller's names of fields, for errors, by the names that chats have for them."""

# --- the request ------------------------------------------------------------------------------------------------------


class _SentGenerate(SentText, frozen=True, omit_defaults=True, kw_only=True):
    prompt: str
    suffix: str = ""
    raw: bool = False
    template: str | None = None
    system: str | None = None
    context: Raw | None = None
    images: tuple[str, ...] = ()


def encode_request(
    request: GenerateRequest, *, model: str = "", profile: Profile | None = None, version: Version | None = None
) -> Call:
    """Return the call that asks a host to go on with a text.

    Only what the caller said is sent, and `stream`, which Ollama takes for true when it is absent. One thing is added:
    a raw request whose caller says nothing about thinking has `think: false`. That changes nothing in the prompt, and
    keeps hosts from taking a `<think>` out of the text.

    Args:
        request: What is asked.
        model: The host's name for the model; the request's when empty.
        profile: What the host says of the model. Its own stops are added to the caller's, which would replace them,
            in raw mode too: there as well they hold as long as the caller gives none.
        version: What the host runs; None for a recent release.

    Raises:
        InvalidRequest: `format` is nested more deeply than can be written.
    """
    think = False if request.raw and request.think is None else request.think
    generate = _SentGenerate(
        model=model or request.model,
        prompt=request.prompt,
        stream=request.stream,
        suffix=request.suffix,
        raw=bool(request.raw),
        template=request.template,
        system=request.system,
        context=request.context,
        images=tuple(media.data for media in request.media),
        format=request.format,
        think=encode_think(think, version),
        options=encode_options(request, profile),
        keep_alive=request.keep_alive,
        truncate=request.truncate,
        shift=request.shift,
        logprobs=request.logprobs,
        top_logprobs=request.top_logprobs,
        render_only=request.render_only,
    )
    return encode_call("/api/generate", generate, format_param="format")


# --- the answer -------------------------------------------------------------------------------------------------------


def may_begin_with_thought(request: GenerateRequest) -> bool:
    """Whether the text of the answer may begin with a thought, which is no part of what the model says.

    A raw text is what the model wrote, all of it. A format holds from the first token on, and a model that fills a gap
    is not asked anything.
    """
    return not (request.raw or request.suffix or request.format is not None or request.think is False)


class _Frame(Frame, gc=False):
    response: str | UnsetType = UNSET
    thinking: str = ""
    tool_calls: tuple[CalledTool, ...] = ()
    context: tuple[int, ...] = ()


_decode_frame = msgspec.json.Decoder(_Frame).decode


class StreamDecoder(AnswerDecoder[_Frame]):
    """Reads a host's answer to a text.

    Nobody offers tools here, and a completion has no place for their calls. A model that calls one all the same has
    its calls in the text, as JSON. The tokens of the whole exchange, for a later request to go on from, are among the
    timings of the `Finish`, as `context`.

    Args:
        prompt_characters, num_predict, model, limit: As for every answer.
        split_thoughts: Whether the text may begin with a thought (`may_begin_with_thought`).
    """

    _prompt = "prompt"
    _names = NAMES

    def __init__(
        self,
        *,
        prompt_characters: int = 0,
        num_predict: int | None = None,
        model: str = "",
        limit: int = LINE_LIMIT,
        split_thoughts: bool = False,
    ) -> None:
        super().__init__(
            _decode_frame, prompt_characters=prompt_characters, num_predict=num_predict, model=model, limit=limit
        )
        self._thoughts = ThoughtSplitter() if split_thoughts else None
        self._tokens = SaidTokens()

    def _take(self, frame: _Frame, events: list[Event]) -> bool:
        text, thinking, logprobs = frame.response, frame.thinking, frame.logprobs
        if text is UNSET:
            return False
        if self._thoughts is None and not (thinking or logprobs or frame.tool_calls):
            if text:
                self._pieces += 1
                self._said += len(text)
                events.append(Delta(text=text))
            return True
        if frame.tool_calls:
            text = "\n".join(filter(None, (text, *map(_spell, frame.tool_calls))))
        if text or thinking or logprobs:
            self._pieces += 1
        if thinking:
            self._stop_splitting(events)  # a host that tells thoughts apart leaves none in the text
        if self._thoughts is not None:
            thinking, text = self._thoughts.split(text, last=frame.done)
            if self._thoughts.done:
                self._thoughts = None
        self._say(thinking, text, self._tokens.add(logprobs, thinking, text), events)
        return True

    def _flush(self, events: list[Event]) -> None:
        self._stop_splitting(events)
        self._say("", "", self._tokens.close(), events)

    def _stop_splitting(self, events: list[Event]) -> None:
        if self._thoughts is not None:
            thinking, text = self._thoughts.split("", last=True)
            self._thoughts = None
            self._say(thinking, text, self._tokens.add((), thinking, text), events)

    def _say(self, thinking: str, text: str, logprobs: tuple[TokenLogprob, ...], events: list[Event]) -> None:
        self._said += len(text)
        self._thought += len(thinking)
        if text or thinking or logprobs:
            events.append(Delta(text=text, thinking=thinking, logprobs=logprobs))

    def _timings(self, frame: _Frame) -> dict[str, Any]:
        timings = super()._timings(frame)
        if frame.context:
            timings["context"] = frame.context
        return timings


def _spell(call: CalledTool) -> str:
    return msgspec.json.encode(call.function).decode()
