"""What `/api/chat` and `/api/generate` have in common: the checks, the run of a model, its pace and its counts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.simulator import json_schema
from gateway.simulator.answers import Refusal, nested
from gateway.simulator.frames import Metrics
from gateway.simulator.generation import Finish, Limits, Piece, constrain, generate, split_thoughts, token_text
from gateway.simulator.golang import encode, quote
from gateway.simulator.host import Host
from gateway.simulator.incoming import SimulatedRequest
from gateway.simulator.model import Prompt, SimulatedModel, Token
from gateway.simulator.options import LoadOptions, merge_options
from gateway.simulator.requests import Settings
from gateway.simulator.scheduler import Lease


class Run(Struct, frozen=True, kw_only=True):
    """One request's way through a model, once the model is loaded.

    Attributes:
        host: Where it runs.
        request: For whom.
        lease: The hold on its runner.
        model: The model.
        settings: What was asked for.
        options: The options in force.
        loaded_with: With what its runner was loaded.
        think: Whether, or how hard, it thinks.
        clock: When what happened.
    """

    host: Host
    request: SimulatedRequest
    lease: Lease
    model: SimulatedModel
    settings: Settings
    options: dict[str, Any]
    loaded_with: LoadOptions
    think: bool | str
    clock: Clock

    @property
    def modern(self) -> bool:
        """Whether models run in llama-server, as from 0.30 on."""
        return self.host.at_least(0, 30)


class Clock:
    """The moments of a request, in nanoseconds."""

    def __init__(self) -> None:
        self.started = time.perf_counter_ns()
        self.loaded = self.began = self.spoke = self.started

    def metrics(self, *, prompt_tokens: int, cached: int | None, tokens: int, modern: bool) -> Metrics:
        """Return the counts and durations of a last frame."""
        now = time.perf_counter_ns()
        metrics = Metrics(
            total_duration=now - self.started,
            load_duration=self.loaded - self.started,
            prompt_eval_count=prompt_tokens,
            prompt_eval_duration=max(self.spoke - self.began, 1),
            eval_count=tokens,
        )
        if modern or tokens > 1:  # 0.24 counts from the first token on, and finds nothing for an answer of one
            metrics["eval_duration"] = now - self.spoke
        if cached is not None:
            metrics["prompt_eval_cached_count"] = cached
        return metrics


async def start_run(
    host: Host,
    request: SimulatedRequest,
    model: SimulatedModel,
    settings: Settings,
    *,
    purpose: str,
    needs: Iterable[str] = (),
) -> Run:
    """Check what a model must be able to do, load it, and return the run.

    Args:
        host: Where it runs.
        request: For whom; it gets the lease.
        model: The model.
        settings: What was asked for.
        purpose: `chat` or `generate`, for the error of a model that does neither.
        needs: The capabilities that the request needs besides.

    Raises:
        Refusal: 400 for what the model cannot do, 500 for options of the wrong type and for failed loads, 503 when the
            queue is full.
    """
    clock = Clock()
    think = _thinking(model, settings)
    if not model.can("completion"):
        raise Refusal(400, f"{quote(settings.model)} does not support {purpose}")
    if lacking := [need for need in needs if not model.can(need)]:
        raise Refusal(400, f"{model.full_name.full} does not support " + "\n".join(lacking))
    options = merge_options(model.parameters, settings.options)
    if host.at_least(0, 34, 1) and settings.options.get("typical_p") is not None:
        raise Refusal(400, "typical_p is no longer supported")
    loaded_with = host.load_options(model, options, shift=settings.shift)
    request.inference = True
    request.lease = lease = await host.lease(model, loaded_with, settings.keep_alive)
    clock.loaded = time.perf_counter_ns()
    return Run(
        host=host,
        request=request,
        lease=lease,
        model=model,
        settings=settings,
        options=options,
        loaded_with=loaded_with,
        think=think,
        clock=clock,
    )


def _thinking(model: SimulatedModel, settings: Settings) -> bool | str:
    if model.can("thinking"):
        think = True if settings.think is None else settings.think
        return "high" if model.harmony and think == "max" else think
    if settings.think:
        raise Refusal(400, f"{quote(settings.model)} does not support thinking")
    return False


class Completion(Struct, frozen=True, kw_only=True):
    """One run of the runner.

    Attributes:
        prompt: What the model continues.
        images: How many images go with it.
        form: The format it is held to.
        native: Whether llama-server makes the prompt and takes the answer apart.
        free_thoughts: Whether thoughts come before what the format holds.
    """

    prompt: Prompt
    images: int = 0
    form: Any = None
    native: bool = False
    free_thoughts: bool = False


class Done(Struct, frozen=True):
    """The end of a run: why it ended, and what it took."""

    reason: str
    metrics: Metrics


def _count_prompt(run: Run, completion: Completion) -> int:
    """Return how many tokens of a prompt are read, after what is cut.

    Raises:
        Refusal: The prompt is too long and may not be cut (wire.md 2).
    """
    count, room = len(run.model.split(completion.prompt.text)), run.loaded_with.num_ctx
    cut = run.settings.truncate and not completion.native
    if not run.modern:
        if count > room and not cut:
            raise Refusal(400, "the input length exceeds the context length")
        return min(count, room)
    if count < room:
        return count
    if not cut:
        message = f"request ({count} tokens) exceeds the available context size ({room} tokens), try increasing it"
        raise nested(400, message, "exceed_context_size_error", n_prompt_tokens=count, n_ctx=room)
    if not run.loaded_with.shift:
        words = "shorten the prompt, adjust the context length in settings, or use a model with a longer context length"
        raise Refusal(400, f"the prompt is longer than the context length currently available to the model; {words}")
    keep: int = min(run.options["num_keep"], room - 1)
    return keep + (room - keep) // 2


def _check_form(run: Run, completion: Completion) -> Any:
    """Return the format in the order in which the model is held to it.

    Raises:
        Refusal: It is no format, or a schema that does not compile.
    """
    form = completion.form
    if form is None or form == "json":
        return form
    if not isinstance(form, dict):
        text = quote(encode(form).decode())
        raise Refusal(500, f'invalid format: {text}; expected "json" or a valid JSON Schema object')
    try:
        json_schema.check(form)
    except json_schema.SchemaError as error:
        if not run.modern:
            raise Refusal(500, "invalid JSON schema in format") from error
        what = f"JSON schema conversion failed:\nUnrecognized schema: {encode(error.schema).decode()}"
        native = "Unable to generate parser for this template. Automatic parser generation failed: "
        raise nested(
            400, (native if completion.native else '"json_schema": ') + what, "invalid_request_error"
        ) from error
    return json_schema.sort_properties(form) if completion.native else form


def _check_images(run: Run, completion: Completion) -> None:
    sees = run.model.can("vision") and run.model.sees
    if not completion.images or sees or not run.modern:
        return
    if completion.native:
        hint = "hint: if this is unexpected, you may need to provide the mmproj"
        raise nested(500, f"image input is not supported - {hint}", "server_error")
    words = "Multimodal data provided, but model does not support multimodal requests."
    raise nested(400, words, "invalid_request_error")


def _limits(run: Run, completion: Completion, prompt_tokens: int) -> Limits:
    wanted, room = run.options["num_predict"], run.loaded_with.num_ctx
    limit: int | None = wanted if wanted > 0 else None
    if run.modern:
        if wanted == 0 and completion.native:
            limit = 1
        elif wanted != 0:
            limit = min(limit or 10 * room, 10 * room)
    if not run.loaded_with.shift or not run.settings.shift:
        left = max(room - prompt_tokens + (0 if run.modern else 1), 1)
        limit = min(limit or left, left)
    return Limits(
        tokens=limit,
        stops=tuple(run.options.get("stop", ())),
        repetition=not completion.native,
        merge=run.modern,
    )


def _tokens(run: Run, completion: Completion) -> Iterable[Token]:
    form = _check_form(run, completion)
    _check_images(run, completion)
    spoken = run.model.speak(replace(completion.prompt, format=form, options=run.options))
    if form is None or not run.model.constrained:
        return spoken
    thoughts, rest = split_thoughts(spoken)
    constrained = constrain(run.model, rest, form)
    return [*thoughts, *constrained] if completion.free_thoughts else constrained


async def complete(run: Run, completion: Completion) -> AsyncIterator[Piece | Done]:
    """Run the model at its pace: one piece a token, and the end.

    Raises:
        Refusal: The runner refuses the request, or fails as it was told to.
    """
    await run.lease.slot()
    run.clock.began = time.perf_counter_ns()
    prompt_tokens = _count_prompt(run, completion)
    cached = _reuse(run, completion.prompt.text)
    steps = generate(_tokens(run, completion), _limits(run, completion, prompt_tokens))
    await asyncio.sleep(run.host.first_token_seconds)
    run.clock.spoke = time.perf_counter_ns()
    said, failure = 0, run.request.failure
    for step in steps:
        if failure is not None and said >= failure.after:
            run.lease.crash()
            raise Refusal(failure.status, failure.error)
        if isinstance(step, Finish):
            metrics = run.clock.metrics(
                prompt_tokens=prompt_tokens, cached=cached, tokens=step.tokens, modern=run.modern
            )
            yield Done(step.reason, metrics)
        else:
            yield step
            said += bool(step.text)
            await asyncio.sleep(run.host.token_seconds)


def _reuse(run: Run, prompt: str) -> int | None:
    """Return how many tokens of a prompt the runner has read before; None where hosts do not tell (wire.md 0)."""
    before, run.lease.runner.read = run.lease.runner.read, prompt
    if not run.host.at_least(0, 33, 3):
        return None
    pairs = enumerate(zip(before, prompt, strict=False))
    same = next((place for place, (old, new) in pairs if old != new), min(len(before), len(prompt)))
    return len(run.model.split(prompt[:same]))


def logprobs_of(run: Run, piece: Piece) -> list[dict[str, Any]]:
    """Return the log probabilities of a piece, as far as they were asked for."""
    if not run.settings.logprobs:
        return []
    entries = []
    for token in piece.tokens:
        entry = _logprob(token.text, token.logprob)
        if wanted := run.settings.top_logprobs:
            ranked = token.ranked or ((token.text, token.logprob),)
            entry["top_logprobs"] = [_logprob(text, logprob) for text, logprob in ranked[:wanted]]
        entries.append(entry)
    return entries


def _logprob(data: bytes, logprob: float) -> dict[str, Any]:
    text = token_text(data)
    return {"token": text, "logprob": logprob or 0, "bytes": list(text.encode())}
