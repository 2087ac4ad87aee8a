"""Native requests: what is read of them, what the configuration adds, and what goes to a host."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import InvalidRequest
from adapters.ollama.calls import encode_request as encode_call
from adapters.ollama.names import canonical
from adapters.ollama.native.request import (
    CHAT,
    EMBED,
    EMBEDDINGS,
    GENERATE,
    SHOW,
    NativeRequest,
    changes_by,
    decode_request,
    encode_request,
)
from adapters.ollama.profile import fit, must_know, needs_profile
from adapters.types import Profile
from gateway.simulator import names
from tests.adapters.ollama.recorded import recordings

PATHS = (CHAT, GENERATE, EMBED, EMBEDDINGS, SHOW)
TEXT = (CHAT, GENERATE)


def request(path: str = CHAT, /, **fields: Any) -> NativeRequest:
    return decode_request(path, json.dumps({"model": "m"} | fields).encode())


def sent(asked: NativeRequest, model: str = "m:latest", /, **changes: Any) -> Any:
    """Return the body that a host gets, decoded."""
    settings = {"options": {}, "keep_alive": None, "think": None, "truncate": None} | changes
    changed = NativeRequest(
        **{name: getattr(asked, name) for name in ("path", "model", "body")}, changes=changes_by(asked, **settings)
    )
    return json.loads(encode_request(changed, model=model).body)


# --- what is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_a_request_has_a_model_and_a_path(path: str) -> None:
    asked = request(path)

    assert (asked.path, asked.model, asked.runs, asked.changes) == (path, "m", path != SHOW, {})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("stream", "streams"), [(None, True), (True, True), (False, False), ("no", True), (0, True)], ids=repr
)
def test_only_text_is_streamed_and_only_false_turns_it_off(path: str, stream: Any, streams: bool) -> None:
    assert request(path, stream=stream).stream is (streams and path in TEXT)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [b"{}", b"[]", b'"m"', b"7", b'{"model":7}', b'{"model":null}', b'{"model":["m"]}'])
def test_a_model_that_is_none_is_left_to_a_host(path: str, body: bytes) -> None:
    asked = decode_request(path, body)

    assert asked.model == ""
    assert encode_request(asked, model="").body == body


def test_only_show_knows_the_older_name_of_the_field() -> None:
    body = b'{"name":"m"}'

    assert {path: decode_request(path, body).model for path in PATHS} == dict.fromkeys(PATHS, "") | {SHOW: "m"}
    assert decode_request(SHOW, b'{"name":"m","model":""}').model == "m"
    assert decode_request(SHOW, b'{"name":"m","model":"n"}').model == "n"
    assert decode_request(SHOW, b'{"name":"m","model":"\xff"}').model == ""
    assert decode_request(SHOW, b'{"name":"m","model":7}').model == ""


@pytest.mark.parametrize("body", [b"", b"{", b"hello", b'{"model":"m"}{"model":"n"}', b'{"model":"m","MODEL":"n"}'])
def test_what_a_host_might_read_otherwise_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decode_request(CHAT, body)


@pytest.mark.parametrize(
    "body", ['{"MODEL":"m"}', '{"Model":"m"}', '{"mod\\u0065l":"m"}', '{ "model" : "m" }', '{"model":"n","model":"m"}']
)
def test_the_model_is_found_wherever_go_finds_it(body: str) -> None:
    assert decode_request(CHAT, body.encode()).model == "m"


# --- what unloads a model ---------------------------------------------------------------------------------------------

EMPTY: dict[str, list[dict[str, Any]]] = {
    CHAT: [{}, {"messages": None}, {"messages": []}],
    GENERATE: [{}, {"prompt": None}, {"prompt": ""}],
}
FULL: dict[str, list[dict[str, Any]]] = {
    CHAT: [{"messages": [{}]}, {"messages": "hi"}, {"messages": {}}],
    GENERATE: [{"prompt": "hi"}, {"prompt": []}, {"prompt": 0}],
}
NO_TIME = [0, 0.0, -0.0, "0", "0s", "-0s", "+0m", "0h0m0s", "0.0s", ".0ms", "0.us", "0µs", "0μs", "00s", "0h0.00m"]
SOME_TIME: list[Any] = [
    None,
    1,
    -1,
    0.5,
    True,
    False,
    "",
    "1s",
    "0s1ms",
    "s",
    "5m",
    "-1s",
    "00",
    "0.",
    "0x",
    "0 s",
    [],
    {},
]


@pytest.mark.parametrize("keep_alive", NO_TIME, ids=repr)
@pytest.mark.parametrize("path", TEXT)
def test_nothing_to_say_and_no_time_unload(path: str, keep_alive: Any) -> None:
    assert [request(path, keep_alive=keep_alive, **one).unloads for one in EMPTY[path]] == [True] * 3
    assert [request(path, keep_alive=keep_alive, **one).unloads for one in FULL[path]] == [False] * 3


@pytest.mark.parametrize("keep_alive", SOME_TIME, ids=repr)
@pytest.mark.parametrize("path", TEXT)
def test_any_other_time_does_not_unload(path: str, keep_alive: Any) -> None:
    assert not any(request(path, keep_alive=keep_alive, **one).unloads for one in EMPTY[path])


@pytest.mark.parametrize("path", [path for path in PATHS if path not in TEXT])
def test_nothing_else_unloads(path: str) -> None:
    assert not request(path, keep_alive=0, input=[], prompt="").unloads


@pytest.mark.parametrize(
    "messages", [b'[{"content":"\xff"}]', b'[{"content":"' + b"\\ud800" + b' "}]', b"[" * 500 + b"]" * 500]
)
def test_messages_that_cannot_be_read_are_messages(messages: bytes) -> None:
    body = b'{"model":"m","keep_alive":0,"messages":' + messages + b"}"
    try:
        asked = decode_request(CHAT, body)
    except InvalidRequest:
        return  # nothing is sent to any host

    assert not asked.unloads


# --- what the configuration adds --------------------------------------------------------------------------------------

SETTINGS: dict[str, Any] = {"keep_alive": "10m", "think": "low", "truncate": False, "options": {"num_ctx": 8, "a": 1}}
KNOWN = {
    CHAT: {"keep_alive", "think", "truncate", "options"},
    GENERATE: {"keep_alive", "think", "truncate", "options"},
    EMBED: {"keep_alive", "truncate", "options"},
    EMBEDDINGS: {"keep_alive", "options"},
    SHOW: set[str](),
}


@pytest.mark.parametrize("path", PATHS)
def test_settings_go_where_they_mean_something(path: str) -> None:
    assert sent(request(path), **SETTINGS) == {"model": "m", **{name: SETTINGS[name] for name in KNOWN[path]}}


@pytest.mark.parametrize("path", PATHS)
def test_null_is_as_good_as_not_said(path: str) -> None:
    asked = request(path, **dict.fromkeys(SETTINGS))

    assert sent(asked, **SETTINGS) == {"model": "m", **dict.fromkeys(SETTINGS)} | {
        name: SETTINGS[name] for name in KNOWN[path]
    }


@pytest.mark.parametrize("path", PATHS)
def test_what_the_caller_says_counts(path: str) -> None:
    own = {"keep_alive": 0, "think": False, "truncate": True, "options": {"num_ctx": 9, "a": 0}}
    asked = request(path, **own)

    assert changes_by(asked, **SETTINGS) == {}
    assert sent(asked, **SETTINGS) == {"model": "m", **own}


@pytest.mark.parametrize(
    ("own", "merged"),
    [
        ({}, {"num_ctx": 8, "a": 1}),
        ({"b": 2}, {"num_ctx": 8, "a": 1, "b": 2}),
        ({"a": None}, {"num_ctx": 8, "a": 1}),
        ({"A": 3}, {"num_ctx": 8, "a": 1, "A": 3}),
        ({"stop": ["x"], "a": 3}, {"num_ctx": 8, "a": 3, "stop": ["x"]}),
    ],
    ids=repr,
)
def test_options_are_merged_one_by_one(own: Any, merged: Any) -> None:
    assert sent(request(options=own), **SETTINGS)["options"] == merged


def test_the_callers_options_stay_as_they_are_written() -> None:
    asked = decode_request(CHAT, b'{"model":"m","options":{ "b" : 1.0, "c": [ 1E2 ], "num_ctx": null, "d": null }}')
    changes = changes_by(asked, options={"num_ctx": 8}, keep_alive=None, think=None, truncate=None)
    body = asked.body.with_fields(changes)

    assert body == b'{"model":"m","options":{"b":1.0,"c":[ 1E2 ],"num_ctx":8,"d":null}}'


def test_options_that_say_all_that_the_settings_say_are_not_touched() -> None:
    asked = decode_request(CHAT, b'{"model":"m","options":{"num_ctx": 9, "d": null}}')

    assert changes_by(asked, options={"num_ctx": 8}, keep_alive=None, think=None, truncate=None) == {}


@pytest.mark.parametrize("own", [[], "num_ctx", 7, True])
def test_options_of_a_wrong_type_are_left_to_a_host(own: Any) -> None:
    assert sent(request(options=own), **SETTINGS)["options"] == own


@pytest.mark.parametrize(("raw", "thinks"), [(True, False), (False, True), (None, True), ("yes", True)], ids=repr)
def test_a_raw_prompt_is_no_question_to_think_about(raw: Any, thinks: bool) -> None:
    assert ("think" in sent(request(GENERATE, raw=raw), **SETTINGS)) is thinks


def test_a_setting_goes_into_the_field_as_the_caller_spells_it() -> None:
    asked = decode_request(CHAT, b'{"Model":"m","Options":{"b":2},"KEEP_ALIVE":null}')

    assert sent(asked, **SETTINGS) == {
        "Model": "m",
        "Options": {"num_ctx": 8, "a": 1, "b": 2},
        "KEEP_ALIVE": "10m",
        "think": "low",
        "truncate": False,
    }


# --- what goes to a host ----------------------------------------------------------------------------------------------

ODD = b'{\n\t"messages": [ {"role":"user", "content":"caf\\u00e9 \xc3\xa9 \xff"} ],  "x": 1.0e+2, "x": 1E2,\r\n "model" :"m" }\n\n'


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_needs_no_change_is_the_same_bytes(path: str) -> None:
    call = encode_request(decode_request(path, ODD), model="m:latest")

    assert (call.method, call.target, call.headers) == ("POST", path, ((b"content-type", b"application/json"),))
    assert call.body == ODD


@pytest.mark.parametrize("path", PATHS)
def test_a_body_with_another_name_differs_in_nothing_else(path: str) -> None:
    body = encode_request(decode_request(path, ODD), model="target:latest").body

    assert (
        body
        == b'{"messages":[ {"role":"user", "content":"caf\\u00e9 \xc3\xa9 \xff"} ],"x":1E2,"model":"target:latest"}'
    )


def test_every_recorded_request_is_sent_as_it_is() -> None:
    bodies = [
        (path, json.dumps(one.request["body"], indent=1).encode())
        for path in PATHS
        for one in recordings(path)
        if isinstance(one.request.get("body"), dict) and None not in one.request["body"].values()
    ]
    assert len(bodies) > 400
    for path, body in bodies:
        asked = decode_request(path, body)
        assert encode_request(asked, model=asked.model).body == body


SPELLINGS = ["m", "M", "m:latest", "m:LATEST", "library/m", "registry.ollama.ai/library/m:latest", "Library/M"]


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_spelling_that_every_host_knows_is_kept(name: str) -> None:
    body = json.dumps({"model": name}).encode()

    assert encode_request(decode_request(CHAT, body), model="m:latest").body == body


@pytest.mark.parametrize(
    ("name", "model"),
    [
        (" m", "m:latest"),
        ("m\n", "m:latest"),
        ("m:", "m:latest"),
        ("m:local", "m:latest"),
        ("m:7b:Local", "m:7b"),
        ("m:7b:cloud", "m:7b-cloud"),
        ("https://registry.ollama.ai/library/m", "m:latest"),
        ("\u212aimi", "kimi:latest"),
    ],
)
def test_a_spelling_that_a_host_may_not_know_becomes_its_own(name: str, model: str) -> None:
    assert canonical(name) == model
    assert sent(request(model=name), model) == {"model": model}


def test_a_name_that_no_host_is_known_to_have_stays_as_it_is() -> None:
    body = b'{"model":" what/is/this://:: "}'

    assert encode_request(decode_request(CHAT, body), model=" what/is/this://:: ").body == body


@pytest.mark.parametrize("body", [b'{"name":"a"}', b'{"name":"a","model":""}', b'{"Name":"a","model":null}'])
def test_the_field_that_named_the_model_names_it_to_the_host(body: bytes) -> None:
    asked = sent(decode_request(SHOW, body), "target:latest")

    assert {name.lower(): value for name, value in asked.items() if value} == {"name": "target:latest"}


PARTS = [
    "m",
    "M",
    "a/",
    "A/",
    "library/",
    "registry.ollama.ai/",
    "x.y/",
    "https://",
    ":",
    ":latest",
    ":local",
    ":a",
    " ",
    "\n",
]
MODELS = ["m", "m:a", "a/m", "x.y/a/m:a"]


@given(st.lists(st.sampled_from(PARTS), max_size=6).map("".join), st.sampled_from(MODELS))
def test_a_host_never_lacks_a_model_for_how_its_name_is_spelled(name: str, model: str) -> None:
    """Whatever name leads to a model here leads to it at the host."""
    if canonical(name) != canonical(model):
        return
    read, there = names.parse(sent(request(model=name), canonical(model))["model"]), names.parse(model)

    assert read is not None
    assert there is not None
    assert read.key == there.key


# --- as one of several kinds of requests ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_the_host_says_itself_what_its_model_cannot_do(path: str) -> None:
    asked = request(path, think=True, tools=[{}], images=["x"], dimensions=5, suffix="x")

    assert not needs_profile(asked)
    assert not must_know(asked)
    assert fit(asked, Profile(capabilities=frozenset({"nothing"}), embedding_length=1)) is asked
    assert encode_call(asked, model="m", profile=None, version=None) == encode_request(asked, model="m")
