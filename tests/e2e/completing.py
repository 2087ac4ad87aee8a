"""OpenAI's SDK as the caller for completions, and what it gets held to OpenAI's form."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from openai.types import Completion

if TYPE_CHECKING:
    from tests.e2e.calling import Caller
    from tests.e2e.conftest import Host
    from tests.e2e.wire import Answer

DONE = b"data: [DONE]\n\n"


async def complete(caller: Caller, way: str, **fields: Any) -> Completion:
    """Ask for completions in a way of `tests.e2e.calling.WAYS`, and return the whole; a stream is put together."""
    in_a_thread: Any = caller.sync.completions.create
    create: Any = caller.client.completions.create
    streamed = {**fields, "stream": True, "stream_options": {"include_usage": True}}
    match way:
        case "sync":
            found = await asyncio.to_thread(in_a_thread, **fields)
        case "sync, streamed":
            found = put_together(await asyncio.to_thread(lambda: list(in_a_thread(**streamed))))
        case "async":
            found = await create(**fields)
        case _:
            async with await create(**streamed) as stream:
                found = put_together([chunk async for chunk in stream])
    assert isinstance(found, Completion)
    return found


def put_together(chunks: list[Completion]) -> Completion:
    """Put the chunks of a stream together, as callers do."""
    choices: dict[int, dict[str, Any]] = {}
    for piece in (choice for chunk in chunks for choice in chunk.choices):
        choice: dict[str, Any] = piece.to_dict()
        so_far = choices.setdefault(piece.index, {"text": "", "logprobs": None})
        for name, value in choice.items():
            if name in ("text", "reasoning"):
                so_far[name] = so_far.get(name, "") + value
            elif name == "logprobs" and value and so_far[name]:
                so_far[name] = {key: [*so_far[name][key], *more] for key, more in value.items()}
            elif value is not None:
                so_far[name] = value
    whole = [choices[index] for index in sorted(choices)]
    return Completion.model_validate({**chunks[-1].to_dict(), "choices": whole})


def judge(answer: Answer) -> None:
    """Hold an answer with status 200 to what OpenAI would have sent (wire.md 5, 11.1)."""
    asked = answer.asked
    prompts = len(asked["prompt"]) if isinstance(asked["prompt"], list) else 1
    indices = range(prompts * (asked.get("n") or 1))
    if not answer.streamed:
        if answer.whole:
            completion = Completion.model_validate_json(answer.body, strict=True)
            assert completion.model == asked["model"]
            assert [choice.index for choice in completion.choices] == list(indices)
        return
    chunks = answer.data
    if chunks and "error" in chunks[-1]:
        chunks.pop()
        assert not answer.body.endswith(DONE)
    elif answer.body.endswith(DONE):
        _judge_end(chunks, set(indices), usage=(asked.get("stream_options") or {}).get("include_usage", False))
    else:
        assert not answer.whole, "the stream just stopped"
    for chunk in chunks:
        unfinished = [{**choice, "finish_reason": choice["finish_reason"] or "stop"} for choice in chunk["choices"]]
        Completion.model_validate_json(json.dumps({**chunk, "choices": unfinished}), strict=True)
        assert chunk["model"] == asked["model"]
    assert len({(chunk["id"], chunk["created"], chunk["system_fingerprint"]) for chunk in chunks}) <= 1


def _judge_end(chunks: list[Any], indices: set[int], *, usage: bool) -> None:
    """A whole stream: one finish a choice, without text; usage at the end when asked for, and announced before."""
    if usage:
        *chunks, last = chunks
        assert last["choices"] == []
        assert last["usage"]["total_tokens"] == last["usage"]["prompt_tokens"] + last["usage"]["completion_tokens"]
        assert [chunk["usage"] for chunk in chunks] == [None] * len(chunks)
    else:
        assert not any("usage" in chunk for chunk in chunks)
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert {choice["index"] for choice in choices} == indices
    for index in indices:
        *before, end = (choice for choice in choices if choice["index"] == index)
        assert (end["text"], end["finish_reason"]) in (("", "stop"), ("", "length"))
        assert {choice["finish_reason"] for choice in before} <= {None}


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
"""A PNG of one pixel, in base64."""


def generates(host: Host) -> list[Any]:
    """Return the bodies of the requests that a host got for texts."""
    return [request.json for request in host.simulator.requests if request.path == "/api/generate"]


def text(completion: Completion) -> str:
    [choice] = completion.choices
    return choice.text


def extra(thing: Any, name: str) -> Any:
    """Return what stands in an answer beside OpenAI's fields."""
    return (thing.model_extra or {}).get(name)
