"""Reading back of encoded answers, with the SDK's own types as the judge."""

from __future__ import annotations

import json
from typing import Any

from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

CHUNK_KEYS = {"id", "object", "created", "model", "service_tier", "system_fingerprint", "choices"}
ANSWER_KEYS = CHUNK_KEYS | {"usage"}
EXTENSIONS = {"ollama", "metadata"}


def events(stream: bytes) -> list[str]:
    """Return the data of each server-sent event."""
    assert not stream or stream.endswith(b"\n\n")
    data = []
    for event in stream.decode().split("\n\n")[:-1]:
        assert event.startswith("data: ")
        assert "\n" not in event
        data.append(event.removeprefix("data: "))
    return data


def chunks(stream: bytes, *, include_usage: bool) -> list[dict[str, Any]]:
    """Return the chunks of a stream that has not failed, each judged by the SDK's type and by its keys."""
    found = [json.loads(data) for data in events(stream) if data != "[DONE]"]
    for chunk in found:
        ChatCompletionChunk.model_validate(chunk, strict=True)
        assert chunk.keys() - EXTENSIONS == CHUNK_KEYS | ({"usage"} if include_usage else set())
        for choice in chunk["choices"]:
            assert choice.keys() == {"index", "delta", "logprobs", "finish_reason"}
    return found


def answer(body: bytes) -> dict[str, Any]:
    """Return a whole answer, judged by the SDK's type and by its keys."""
    found: dict[str, Any] = json.loads(body)
    ChatCompletion.model_validate(found, strict=True)
    assert found.keys() - EXTENSIONS == ANSWER_KEYS
    assert [choice["index"] for choice in found["choices"]] == list(range(len(found["choices"])))
    for choice in found["choices"]:
        own = {"ollama"} if len(found["choices"]) > 1 else set()
        assert choice.keys() - own == {"index", "message", "logprobs", "finish_reason"}
    return found


def snapshot(stream: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the answer that the SDK's own accumulator makes of the chunks of a stream, without what it adds."""
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    for chunk in stream:
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    added: Any = {"parsed": True, "tool_calls": {"__all__": {"index": True, "function": {"parsed_arguments"}}}}
    return state.current_completion_snapshot.model_dump(
        exclude_none=True, exclude={"choices": {"__all__": {"message": added}}}
    )


def accumulate(stream: list[dict[str, Any]]) -> dict[str, Any]:
    """Put the deltas of a stream together, as callers do."""
    message: dict[str, Any] = {"text": "", "reasoning": "", "tool_calls": {}, "logprobs": [], "finish_reason": None}
    for choice in (choice for chunk in stream for choice in chunk["choices"]):
        delta = choice["delta"]
        message["text"] += delta.get("content") or ""
        message["reasoning"] += delta.get("reasoning") or ""
        assert delta.get("reasoning") == delta.get("reasoning_content")
        message["logprobs"] += (choice["logprobs"] or {}).get("content", [])
        message["finish_reason"] = choice["finish_reason"] or message["finish_reason"]
        for fragment in delta.get("tool_calls", []):
            call = message["tool_calls"].setdefault(fragment["index"], {"arguments": ""})
            function = fragment["function"]
            call["arguments"] += function["arguments"]
            if "id" in fragment:
                call |= {"id": fragment["id"], "type": fragment["type"], "name": function["name"]}
    return message
