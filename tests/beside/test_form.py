"""The form of answers and errors, whatever is asked: what clients rely on without a word about it (wire.md 11.2)."""

from __future__ import annotations

import re

import pytest

from gateway.simulator.faults import Fail
from tests.beside.exchanges import Ours, Theirs, beside

pytestmark = pytest.mark.asyncio(loop_scope="package")


@beside("chat-nostream")
async def test_ids_are_unique(theirs: Theirs, ours: Ours) -> None:
    assert re.fullmatch(r"chatcmpl-\d{1,3}", theirs.json["id"])
    assert theirs.json["system_fingerprint"] == "fp_ollama"

    answers = [await ours.answer(theirs) for _ in range(3)]
    assert len({answer.json["id"] for answer in answers}) == 3
    assert all(len(answer.json["id"]) > 30 for answer in answers)
    other = await ours.answer(theirs, model="roomy")
    assert other.json["system_fingerprint"] != answers[0].json["system_fingerprint"]


@beside("chat-tools-one-nostream")
async def test_a_message_has_all_its_keys(theirs: Theirs, ours: Ours) -> None:
    assert theirs.message.keys() == {"role", "content", "tool_calls"}
    assert theirs.message["content"] == ""

    answer = await ours.answer(theirs)
    assert {"role", "content", "refusal", "annotations", "tool_calls"} <= answer.message.keys()
    assert answer.message["content"] is None
    assert "logprobs" in answer.choice


@beside("chat-stream-usage")
async def test_a_stream_has_openais_layout(theirs: Theirs, ours: Ours) -> None:
    """Before 0.32.6 every chunk of Ollama had the role, and the finish came with text; later ones lack what is null."""
    roles = [delta for delta in theirs.deltas if "role" in delta]
    assert len(roles) == (len(theirs.deltas) if theirs.version == "0.24" else 1)
    assert (theirs.deltas[-1] == {}) == (theirs.version != "0.24")
    assert not any("logprobs" in choice for choice in theirs.choices)
    assert "usage" not in theirs.chunks[0]

    answer = await ours.answer(theirs)
    assert answer.deltas[0] == {"role": "assistant", "content": "", "refusal": None}
    assert {tuple(delta) for delta in answer.deltas[1:-1]} == {("content",)}
    assert (answer.deltas[-1], answer.choices[-1]["finish_reason"]) == ({}, "stop")
    assert [chunk["usage"] is None for chunk in answer.chunks] == [True] * (len(answer.chunks) - 1) + [False]
    assert answer.has_end_mark


@beside("broken-runner-stream")
async def test_a_stream_that_fails_ends_in_an_error(theirs: Theirs, ours: Ours) -> None:
    """Ollama sent an empty chunk of no model, and closed: an answer that seems to be whole."""
    assert (theirs.chunks[-1]["model"], theirs.choices[-1]["finish_reason"]) == ("", None)
    assert not theirs.has_end_mark

    ours.host.script(Fail(10))
    answer = await ours.answer(theirs)
    *chunks, last = answer.chunks
    assert len(chunks) == 1 + 10
    assert last.keys() == {"error"}
    assert (last["error"]["type"], last["error"]["code"]) == ("server_error", "upstream_error")
    assert not answer.has_end_mark


@beside("chat-stream-repeat")
async def test_a_stream_that_the_host_gives_up_has_an_end(theirs: Theirs, ours: Ours) -> None:
    assert {choice["finish_reason"] for choice in theirs.choices} == {None}
    assert not theirs.has_end_mark

    answer = await ours.answer(theirs)
    assert answer.choices[-1]["finish_reason"] == "stop"
    assert answer.has_end_mark


@beside("chat-stop-string", "chat-stop-list")
async def test_stops_of_a_request_do_not_replace_those_of_the_model(theirs: Theirs, ours: Ours) -> None:
    answer = await ours.answer(theirs)

    asked = theirs.asked["stop"]
    assert answer.message["content"] == theirs.message["content"]
    assert ours.sent()[0]["options"]["stop"] == [
        *([asked] if isinstance(asked, str) else asked),
        "<|im_start|>",
        "<|im_end|>",
    ]


@beside("chat-format-unknown", "chat-format-json-schema-missing")
async def test_a_format_that_means_nothing_is_refused(theirs: Theirs, ours: Ours) -> None:
    assert theirs.status == 200

    answer = await ours.answer(theirs)
    assert answer.status == 400
    assert answer.error["param"].startswith("response_format.")


@beside("chat-tools-not-supported")
async def test_an_error_names_the_model_as_the_caller_does(theirs: Theirs, ours: Ours) -> None:
    assert "registry" in theirs.error["message"]
    assert theirs.error["param"] is None

    answer = await ours.answer(theirs)
    assert "'tiny-plain'" in answer.error["message"]
    assert "registry" not in answer.error["message"]
    assert answer.error["param"] == "tools"


@beside("chat-error-wrong-type")
async def test_an_error_names_the_field(theirs: Theirs, ours: Ours) -> None:
    assert "Go struct field" in theirs.error["message"]
    assert (theirs.error["param"], theirs.error["code"]) == (None, None)

    answer = await ours.answer(theirs)
    assert (answer.error["param"], answer.error["code"]) == ("temperature", "invalid_type")
    assert answer.headers["x-should-retry"] == "false"
