"""`/api/generate` (wire.md 1.7)."""

from __future__ import annotations

from collections.abc import AsyncIterator

from gateway.simulator import templates
from gateway.simulator.answers import Answer, Refusal, reply
from gateway.simulator.finding import Thoughts
from gateway.simulator.frames import GenerateFrame, Rendered, called_tools, gather_generate, send
from gateway.simulator.host import Host
from gateway.simulator.incoming import SimulatedRequest
from gateway.simulator.inference import Completion, Done, Run, complete, logprobs_of, start_run
from gateway.simulator.model import Message, Prompt
from gateway.simulator.parsing import Delta, HarmonyParser, TagParser
from gateway.simulator.prompts import render, tag_images
from gateway.simulator.requests import GenerateRequest, read_generate


async def generate(host: Host, request: SimulatedRequest) -> Answer:
    """Answer a request to `/api/generate`.

    Raises:
        Refusal: As a real host refuses it.
    """
    asked = read_generate(request.body)
    missing = Refusal(404, f"model '{asked.model}' not found")
    model = host.require(asked.model, empty=missing, missing=missing)
    if not asked.prompt and asked.keep_alive == 0:
        host.scheduler.expire(model)
        return _without_words(asked, "unload")
    if asked.raw and (asked.template or asked.system or asked.context):
        raise Refusal(400, "raw mode does not support template, system, or context")
    needs = ("insert",) if asked.suffix else ()
    run = await start_run(host, request, model, asked, purpose="generate", needs=needs)
    if not asked.prompt:
        return _without_words(asked, "load")
    prompt = _prompt(run, asked)
    if asked.render_only:
        rendered = Rendered(prompt.text, len(asked.images))
        return reply(GenerateFrame(model=asked.model, response="", done=False, debug_info=rendered))
    return await send(_frames(run, asked, prompt), gather_generate, stream=asked.stream)


def _without_words(asked: GenerateRequest, reason: str) -> Answer:
    return reply(GenerateFrame(model=asked.model, response="", done=True, done_reason=reason))


def _prompt(run: Run, asked: GenerateRequest) -> Prompt:
    """Render the prompt: as a message of the user, by the request's own template, for a gap, or not at all.

    Raises:
        Refusal: 500 for a template that does not parse.
    """
    message = Message("user", asked.prompt, images=asked.images)
    if asked.raw:
        return Prompt(text=asked.prompt, messages=(message,), think=run.think)
    if asked.suffix:
        text = f"<|fim_prefix|>{asked.prompt}<|fim_suffix|>{asked.suffix}<|fim_middle|>"
        return Prompt(text=text, messages=(message,), think=run.think, suffix=asked.suffix)
    system = asked.system or run.model.system
    before = () if asked.context else run.model.messages
    messages = (*((Message("system", system),) if system else ()), *before, message)
    if asked.template:
        text = _filled(asked.template, messages)
    else:
        text = render(run.model, tag_images(messages), (), run.think)
    past = run.host.vocabulary(run.model).decode(asked.context or ())
    return Prompt(text=past + text, messages=messages, think=run.think)


def _filled(template: str, messages: tuple[Message, ...]) -> str:
    try:
        templates.check(template)
    except templates.TemplateError as error:
        raise Refusal(500, str(error)) from error
    return templates.fill(template, messages)


async def _frames(run: Run, asked: GenerateRequest, prompt: Prompt) -> AsyncIterator[GenerateFrame]:
    harmony = run.model.harmony and not asked.raw
    # llama-server's own parser is for chats: here a model of the native path keeps its thoughts in the text.
    thinks = bool(run.think) and run.model.path == "rendered" and not harmony
    parser = HarmonyParser() if harmony else TagParser(Thoughts() if thinks else None, None)
    answer = ""
    completion = Completion(prompt=prompt, images=len(asked.images), form=asked.format)
    async for step in complete(run, completion):
        if isinstance(step, Done):
            delta = parser.add("", done=True) or Delta()
            yield GenerateFrame(
                model=asked.model,
                response=delta.content,
                thinking=delta.thinking,
                done=True,
                done_reason=step.reason,
                context=[] if asked.raw else run.host.vocabulary(run.model).encode(prompt.text + answer),
                tool_calls=called_tools(delta.calls),
                **step.metrics,
            )
        elif step.text:
            answer += step.text
            spoken, logprobs = parser.add(step.text), logprobs_of(run, step)
            if spoken or logprobs or not harmony:
                delta = spoken or Delta()
                yield GenerateFrame(
                    model=asked.model,
                    response=delta.content,
                    thinking=delta.thinking,
                    done=False,
                    logprobs=logprobs,
                )
