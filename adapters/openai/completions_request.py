"""Decoding of `POST /v1/completions`: OpenAI's fields and the gateway's extensions (wire.md 5)."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct
from msgspec.structs import replace

from adapters.errors import InvalidRequest
from adapters.openai.extensions import COMPLETION, Extensions, decode_extensions
from adapters.openai.fields import Fields, Ignored, decode_object, missing, not_supported, wrong_type
from adapters.openai.sampling import decode_sampling, decode_stops, decode_streaming, move_seed, refuse_bias
from adapters.types import GenerateRequest

READ = frozenset(
    {"model", "prompt", "suffix", "stream", "stream_options", "n", "best_of", "echo", "logprobs", "logit_bias"}
    | {"max_tokens", "max_completion_tokens", "temperature", "top_p", "frequency_penalty", "presence_penalty"}
    | {"seed", "stop", "user"}
)
"""OpenAI's fields, and `max_completion_tokens`, which callers of chats are used to."""

MOST_LOGPROBS = 20
"""How many alternatives a token hosts tell; OpenAI tells 5."""


class Completion(Struct, frozen=True, kw_only=True):
    """A request for completions as its caller wrote it: one or more answers to each of one or more prompts.

    Attributes:
        request: What is asked of a host for the first prompt.
        prompts: All prompts.
        n: How many answers to each prompt the caller gets.
        best_of: How many answers to each prompt are made; the `n` likeliest of them are given.
        echo: Whether each answer begins with its prompt.
        logprobs: How many alternatives a token the caller wants to know; None when it wants no log probabilities.
        include_usage: Whether a stream ends with its usage.
    """

    request: GenerateRequest
    prompts: tuple[str, ...]
    n: int = 1
    best_of: int = 1
    echo: bool = False
    logprobs: int | None = None
    include_usage: bool = False


def decode_request(body: bytes, *, most: int) -> Completion:
    """Decode a request for completions.

    Without a word about it the model goes on with the prompt as it is, unless its settings say otherwise. What only
    makes sense within the model's template (`system`, `template`, `context`, `images`, `suffix`) asks for it.

    Args:
        body: The request's JSON.
        most: How many answers may be made for one request, over all prompts.

    Raises:
        InvalidRequest: The body is not JSON, or a field is missing, malformed, out of range or not supported. Whatever
            the bytes, this is the only exception.
    """
    fields = decode_object(body)
    refuse_bias(fields)
    model = fields.required_text("model")
    prompts = _decode_prompts(fields, most)
    ignored = Ignored()
    stream, include_usage = decode_streaming(fields, ignored)
    n, best_of = _decode_counts(fields, len(prompts), most, stream=stream)
    echo = fields.boolean("echo") or False
    logprobs = _decode_logprobs(fields, echo=echo)
    request = replace(
        _decode_generate(fields, model, prompts[0], ignored),
        stream=stream,
        logprobs=logprobs is not None or best_of > n,
        top_logprobs=logprobs or None,
        ignored=ignored.paths(),
    )
    return Completion(
        request=request,
        prompts=prompts,
        n=n,
        best_of=best_of,
        echo=echo,
        logprobs=logprobs,
        include_usage=include_usage,
    )


def split_choices(completion: Completion) -> list[GenerateRequest]:
    """Return the request for each answer that is made, those for one prompt together, in the order of the prompts.

    A seed grows by one from answer to answer of a prompt.
    """
    return [
        move_seed(replace(completion.request, prompt=prompt), place)
        for prompt in completion.prompts
        for place in range(completion.best_of)
    ]


def _decode_generate(fields: Fields, model: str, prompt: str, ignored: Ignored) -> GenerateRequest:
    """Return what is asked of a host for a prompt, but for what depends on the answers that are wanted."""
    suffix = fields.string("suffix") or ""
    extensions = decode_extensions(fields, READ, ignored, COMPLETION)
    stop = decode_stops(fields, ignored)
    if suffix and extensions.system:
        ignored.add("system")  # a template for gaps has no place for it
    return GenerateRequest(
        model=model,
        prompt=prompt,
        suffix=suffix,
        raw=_decode_raw(extensions, suffix),
        template=extensions.template or None,
        system=extensions.system or None,
        context=extensions.context,
        media=extensions.images,
        format=None if extensions.format is UNSET else extensions.format,
        think=extensions.think,
        think_param="" if extensions.think is None else "think",
        options={**decode_sampling(fields), **extensions.options},
        stop=stop if extensions.stop is None else extensions.stop,
        keep_alive=extensions.keep_alive,
        truncate=extensions.truncate,
        shift=extensions.shift,
        render_only=extensions.render_only,
        user=fields.string("user"),
    )


def _decode_prompts(fields: Fields, most: int) -> tuple[str, ...]:
    """Return the prompts, none of them empty: to a host an empty one means that the model is only to be loaded."""
    prompt = fields.get("prompt")
    if prompt is None:
        raise missing("prompt")
    if isinstance(prompt, str):
        return (_checked(prompt, "prompt"),)
    if not isinstance(prompt, list):
        raise wrong_type("prompt", "a string or an array of strings", prompt)
    if not prompt:
        message = "Invalid 'prompt': empty array. Expected an array with minimum length 1."
        raise InvalidRequest(message, param="prompt", code="empty_array")
    if len(prompt) > most:
        _checked(prompt[0], "prompt[0]")  # token ids are as many: what is wrong with them is not their number
        message = (
            f"Invalid 'prompt': array too long. Expected an array with maximum length {most}, but got an array with "
            f"length {len(prompt)} instead. Send the prompts in several requests."
        )
        raise InvalidRequest(message, param="prompt", code="array_above_max_length")
    return tuple(_checked(text, f"prompt[{place}]") for place, text in enumerate(prompt))


def _checked(prompt: Any, path: str) -> str:
    if isinstance(prompt, (int, list)) and not isinstance(prompt, bool):
        message = "Prompts of token ids are not supported: hosts only read text. Send the prompt as a string."
        raise not_supported("prompt", message)
    if not isinstance(prompt, str):
        raise wrong_type(path, "a string", prompt)
    if not prompt:
        message = f"Invalid '{path}': empty string. Expected a string with minimum length 1."
        raise InvalidRequest(message, param=path, code="empty_string")
    return prompt


def _decode_counts(fields: Fields, prompts: int, most: int, *, stream: bool) -> tuple[int, int]:
    """Return how many answers a prompt the caller gets, and how many are made."""
    n = fields.integer("n", least=1, most=most) or 1
    best_of = fields.integer("best_of", least=1, most=most) or n
    if best_of < n:
        raise InvalidRequest("'best_of' must not be less than 'n'.", param="best_of")
    if stream and best_of > n:
        message = "'best_of' cannot be streamed: which answers are best is known when all are whole."
        raise not_supported("best_of", message)
    if prompts * best_of > most:
        message = (
            f"{prompts} prompts with {best_of} answers each are {prompts * best_of} answers; at most {most} are given "
            "to one request. Send the prompts in several requests."
        )
        raise InvalidRequest(message, param="prompt", code="array_above_max_length")
    return n, best_of


def _decode_logprobs(fields: Fields, *, echo: bool) -> int | None:
    logprobs = fields.integer("logprobs", least=0, most=MOST_LOGPROBS)
    if echo and logprobs is not None:
        message = "'echo' with 'logprobs' is not supported: hosts do not tell the log probabilities of a prompt."
        raise not_supported("echo", message)
    return logprobs


def _decode_raw(extensions: Extensions, suffix: str) -> bool | None:
    """Return whether the model reads the prompt as it is; None when the caller does not say.

    Raises:
        InvalidRequest: It is said to, and something is given that only the model's template has a place for.
    """
    for name, value in (
        ("context", extensions.context is not None),
        ("system", extensions.system),
        ("template", extensions.template),
        ("suffix", suffix),
    ):
        if value and extensions.raw:
            message = f"'{name}' has no place in a prompt that is read as it is. Leave it out, or leave out 'raw'."
            raise InvalidRequest(message, param=name)
        if value:
            return False
    return False if extensions.images and extensions.raw is None else extensions.raw
