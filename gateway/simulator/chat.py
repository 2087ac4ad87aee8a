"""`/api/chat` (wire.md 1.4, 1.5)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from msgspec.structs import replace

from gateway.simulator.answers import Answer, Refusal, nested, reply
from gateway.simulator.finding import Thoughts, ToolCalls
from gateway.simulator.frames import CalledTool, ChatFrame, Rendered, ReplyMessage, called_tools, gather_chat, send
from gateway.simulator.host import Host
from gateway.simulator.incoming import SimulatedRequest
from gateway.simulator.inference import Completion, Done, Run, complete, logprobs_of, start_run
from gateway.simulator.model import Message, Prompt, SimulatedModel
from gateway.simulator.parsing import Delta, HarmonyParser, NativeParser, Parser, TagParser
from gateway.simulator.prompts import fit, render, tag_images
from gateway.simulator.requests import ChatRequest, read_chat


async def chat(host: Host, request: SimulatedRequest) -> Answer:
    """Answer a request to `/api/chat`.

    Raises:
        Refusal: As a real host refuses it.
    """
    asked = read_chat(request.body)
    missing = Refusal(404, f"model '{asked.model}' not found")
    model = host.require(asked.model, empty=Refusal(400, "model is required"), missing=missing)
    if not asked.messages and asked.keep_alive == 0:
        host.scheduler.expire(model)
        return _without_words(asked, "unload")
    needs = ("tools",) if asked.tools else ()
    run = await start_run(host, request, model, asked, purpose="chat", needs=needs)
    if not asked.messages:
        return _without_words(asked, "load")
    messages = (*model.messages, *asked.messages)
    if model.system and asked.messages[0].role != "system":
        messages = (Message("system", model.system), *messages)
    conversation = _Conversation(run, asked, messages)
    if asked.render_only:
        rendered = Rendered(conversation.prompt().text, conversation.images)
        return reply(ChatFrame(model=asked.model, message=ReplyMessage("", ""), done=False, debug_info=rendered))
    return await send(conversation.frames(), gather_chat, stream=asked.stream)


def _without_words(asked: ChatRequest, reason: str) -> Answer:
    message = ReplyMessage("assistant", "")
    return reply(ChatFrame(model=asked.model, message=message, done=True, done_reason=reason))


class _Conversation:
    """A chat that is being answered."""

    def __init__(self, run: Run, asked: ChatRequest, messages: tuple[Message, ...]) -> None:
        self._run = run
        self._model: SimulatedModel = run.model
        self._asked = asked
        self._native = run.model.path == "native"
        self._messages = messages
        self.images = sum(len(message.images) for message in messages)

    def prompt(self) -> Prompt:
        """Return the prompt, without the oldest messages where it would be too long and may be cut."""
        messages, tools, think = self._messages, self._asked.tools, self._run.think
        if self._asked.truncate:
            messages = fit(self._model, messages, tools, think, self._run.loaded_with.num_ctx)
        text = render(self._model, messages if self._native else tag_images(messages), tools, think)
        return Prompt(text=text, messages=messages, tools=tools, think=think)

    async def frames(self) -> AsyncIterator[ChatFrame]:
        """Yield the frames of the answer.

        Raises:
            Refusal: The runner refuses or fails.
        """
        if self._native:
            self._check_native()
        parser = self._parser()
        if self._asked.format is None or self._native or not self._run.think:
            async for frame in self._pass(parser, self._asked.format):
                yield frame
            return
        # Ollama lets a thinking model think freely, and runs it again, held to the format, when its content begins.
        thoughts = ""
        async for frame in self._pass(parser, None):
            thoughts += frame.message.thinking
            if thoughts and frame.message.content:
                yield replace(frame, message=replace(frame.message, content=""))
                break
            yield frame
        else:
            return
        self._messages = (*self._messages, Message("assistant", thinking=thoughts))
        async for frame in self._pass(parser, self._asked.format):
            yield frame

    def _check_native(self) -> None:
        """Refuse what llama-server refuses."""
        if [message.role for message in self._messages[-2:]] == ["assistant", "assistant"]:
            words = "Cannot have 2 or more assistant messages at the end of the list."
            raise nested(400, words, "invalid_request_error")
        if self._asked.logprobs and self._asked.tools:
            raise nested(400, "logprobs is not supported with tools + stream", "invalid_request_error")

    def _parser(self) -> Parser:
        tools = self._asked.tools
        if self._native:
            return NativeParser(thinks=self._model.can("thinking"), tools=bool(tools))
        if self._model.harmony:
            return HarmonyParser()
        thoughts = Thoughts() if self._run.think else None
        return TagParser(thoughts, ToolCalls(tools, self._model.tool_tag) if tools else None)

    async def _pass(self, parser: Parser, form: Any) -> AsyncIterator[ChatFrame]:
        """Run the model once."""
        completion = Completion(
            prompt=self.prompt(), images=self.images, form=form, native=self._native, free_thoughts=self._native
        )
        async for step in complete(self._run, completion):
            if isinstance(step, Done):
                message = self._message(parser.add("", done=True) or Delta())
                yield ChatFrame(
                    model=self._asked.model, message=message, done=True, done_reason=step.reason, **step.metrics
                )
            elif step.text:
                delta, logprobs = parser.add(step.text), logprobs_of(self._run, step)
                if delta is not None and (delta or logprobs):
                    message = self._message(delta)
                    yield ChatFrame(model=self._asked.model, message=message, done=False, logprobs=logprobs)

    def _message(self, delta: Delta) -> ReplyMessage:
        calls: list[CalledTool] = called_tools(delta.calls, native=self._native)
        return ReplyMessage("assistant", delta.content, delta.thinking, calls)
