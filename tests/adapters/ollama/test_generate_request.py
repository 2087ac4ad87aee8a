"""Requests to go on with a text: held against what was really sent to a host, and rule by rule."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from adapters.errors import InvalidRequest
from adapters.ollama.generate import encode_request
from adapters.ollama.inventory import Version
from adapters.types import GenerateRequest, Media, Profile
from tests.adapters.ollama.recorded import GENERATES, Recording


def request(prompt: str = "hi", **fields: Any) -> GenerateRequest:
    return GenerateRequest(model="m", prompt=prompt, **fields)


def sent(asked: GenerateRequest, **arguments: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(encode_request(asked, **arguments).body)
    return body


# --- what was really sent ---------------------------------------------------------------------------------------------


def as_request(body: dict[str, Any]) -> GenerateRequest:
    """Return the request that asks for what a recorded one asked for."""
    options = dict(body.get("options") or {})
    context = body.get("context")
    return GenerateRequest(
        model=body["model"],
        prompt=body["prompt"],
        stream=body.get("stream", True),
        suffix=body.get("suffix", ""),
        raw=body.get("raw"),
        template=body.get("template"),
        system=body.get("system"),
        context=None if context is None else Raw(json.dumps(context).encode()),
        media=tuple(Media("image", data) for data in body.get("images", ())),
        format=body.get("format"),
        think=body.get("think"),
        stop=tuple(options.pop("stop", ())),
        options=options,
        logprobs=body.get("logprobs", False),
        top_logprobs=body.get("top_logprobs"),
        keep_alive=body.get("keep_alive"),
        truncate=body.get("truncate"),
    )


ASKED = [one for one in GENERATES if one.request["body"].get("prompt")]


def test_every_recorded_request_with_a_prompt_can_be_asked() -> None:
    assert len(GENERATES) - len(ASKED) == 6


@pytest.mark.parametrize("recorded", ASKED, ids=[one.name for one in ASKED])
def test_a_recorded_request_is_sent_as_it_was(recorded: Recording) -> None:
    body = recorded.request["body"]
    untouched = {"think": False} if body.get("raw") else {}
    assert sent(as_request(body)) == {"stream": True, **untouched, **body}


# --- rule by rule -----------------------------------------------------------------------------------------------------


def test_the_call_is_json_to_the_native_address() -> None:
    call = encode_request(request())
    assert (call.method, call.target, call.headers) == (
        "POST",
        "/api/generate",
        ((b"content-type", b"application/json"),),
    )


def test_only_what_was_said_is_sent() -> None:
    assert sent(request()) == {"model": "m", "prompt": "hi", "stream": False}
    assert sent(request(raw=False)) == sent(request())


def test_the_hosts_name_for_the_model_is_sent() -> None:
    assert sent(request(), model="library/m:latest")["model"] == "library/m:latest"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("think", False),
        ("truncate", False),
        ("shift", False),
        ("keep_alive", 0),
        ("system", ""),
        ("suffix", "}"),
        ("format", "json"),
        ("format", {"type": "object"}),
        ("logprobs", True),
        ("top_logprobs", 0),
        ("context", []),
        ("stream", True),
    ],
)
def test_what_was_said_is_sent_whatever_it_is(field: str, value: Any) -> None:
    fields: dict[str, Any] = {field: Raw(json.dumps(value).encode()) if field == "context" else value}
    assert sent(request(**fields))[field] == value


def test_the_prompt_as_the_model_would_see_it_can_be_asked_for() -> None:
    assert sent(request(render_only=True))["_debug_render_only"] is True


@pytest.mark.parametrize(("said", "think"), [(None, False), (True, True), ("low", "low"), (False, False)])
def test_no_host_takes_a_thought_out_of_a_raw_text_unless_the_caller_wants_it(said: Any, think: Any) -> None:
    assert sent(request(raw=True, think=said))["think"] == think


@pytest.mark.parametrize(
    ("version", "think"), [(Version(0, 21, 9), "high"), (Version(0, 22), "max"), (Version(0, 33), "max"), (None, "max")]
)
def test_thinking_to_the_max_needs_a_host_that_knows_it(version: Version | None, think: str) -> None:
    assert sent(request(think="max"), version=version)["think"] == think


@pytest.mark.parametrize("raw", [True, False])
def test_the_models_own_stops_are_kept_in_raw_mode_too(raw: bool) -> None:
    asked = request(raw=raw, stop=("END",))
    assert sent(asked, profile=Profile(stops=("<|im_end|>", "END")))["options"] == {"stop": ["END", "<|im_end|>"]}


def test_options_that_no_host_has_any_more_are_left_out() -> None:
    asked = request(options={"typical_p": 1.0, "num_predict": 0, "seed": 1})
    assert sent(asked)["options"] == {"seed": 1}


def test_a_format_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100_000):
        schema = {"items": schema}
    with pytest.raises(InvalidRequest) as caught:
        encode_request(request(format=schema))
    assert caught.value.param == "format"
