from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.options import KNOWN, RETIRED
from tests.adapters.openai.requests import decode, refusal

SCHEMA = {"type": "object"}
PLACES = [
    pytest.param(lambda fields: fields, "", id="top level"),
    pytest.param(lambda fields: {"ollama": fields}, "ollama.", id="ollama"),
]
SAMPLES: dict[str, Any] = {"integer": 7, "number": 0.5, "boolean": True}


@pytest.mark.parametrize("name", sorted(KNOWN))
@pytest.mark.parametrize("place", ["top", "options", "ollama", "ollama.options"])
def test_every_known_option_is_read_in_every_place(name: str, place: str) -> None:
    given = {name: SAMPLES[KNOWN[name]]}
    fields: dict[str, dict[str, Any]] = {
        "top": given,
        "options": {"options": given},
        "ollama": {"ollama": given},
        "ollama.options": {"ollama": {"options": given}},
    }
    request = decode(**fields[place])
    assert request.options == given
    assert request.ignored == ()


def test_of_an_option_given_twice_the_later_place_counts() -> None:
    fields: dict[str, Any] = {"temperature": 0.1}
    assert decode(**fields).options == {"temperature": 0.1}
    fields["options"] = {"temperature": 0.2}
    assert decode(**fields).options == {"temperature": 0.2}
    fields["ollama"] = {"temperature": 0.3}
    assert decode(**fields).options == {"temperature": 0.3}
    fields["ollama"]["options"] = {"temperature": 0.4}
    assert decode(**fields).options == {"temperature": 0.4}


def test_the_order_in_the_body_does_not_matter() -> None:
    fields = {"ollama": {"options": {"num_ctx": 4}, "num_ctx": 3}, "options": {"num_ctx": 2}, "num_ctx": 1}
    assert decode(**fields).options == {"num_ctx": 4}


def test_an_extension_counts_over_openais_field() -> None:
    assert decode(max_tokens=5, num_predict=9).options == {"num_predict": 9}
    assert decode(max_tokens=5, options={"num_predict": -1}).options == {"num_predict": -1}
    assert decode(stop="a", options={"stop": ["b"]}).stop == ("b",)
    assert decode(stop="a", options={"stop": "b"}, ollama={"stop": []}).stop == ()
    assert decode(response_format={"type": "json_object"}, format=SCHEMA).format == SCHEMA
    assert decode(response_format={"type": "json_object"}, format="").format is None
    assert decode(response_format={"type": "json_object"}, format=None).format == "json"


def test_options_are_not_held_to_openais_ranges() -> None:
    wild = {"temperature": 5, "top_p": 2, "presence_penalty": 9, "seed": -7}
    assert decode(options=wild).options == wild
    assert len(decode(options={"stop": list("abcdefgh")}).stop) == 8


@pytest.mark.parametrize(("wrap", "path"), PLACES)
@pytest.mark.parametrize(
    ("name", "value", "attribute", "expected"),
    [
        ("keep_alive", 300, "keep_alive", 300),
        ("keep_alive", -1, "keep_alive", -1),
        ("keep_alive", "1h30m", "keep_alive", "1h30m"),
        ("think", "high", "think", "high"),
        ("think", False, "think", False),
        ("format", "json", "format", "json"),
        ("format", SCHEMA, "format", SCHEMA),
        ("format", "", "format", None),
        ("truncate", True, "truncate", True),
        ("truncate", False, "truncate", False),
        ("shift", False, "shift", False),
        ("_debug_render_only", True, "render_only", True),
    ],
)
def test_the_other_extensions(wrap: Any, path: str, name: str, value: object, attribute: str, expected: object) -> None:
    request = decode(**wrap({name: value}))
    assert getattr(request, attribute) == expected
    assert request.ignored == ()


@pytest.mark.parametrize(("wrap", "path"), PLACES)
@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("num_ctx", "4096", "invalid_type"),
        ("num_ctx", 4096.5, "invalid_type"),
        ("num_ctx", 2**63, "invalid_value"),
        ("num_predict", 0, "invalid_value"),
        ("use_mmap", 1, "invalid_type"),
        ("min_p", True, "invalid_type"),
        ("keep_alive", "10", "invalid_value"),
        ("keep_alive", True, "invalid_value"),
        ("keep_alive", [], "invalid_value"),
        ("think", "minimal", "invalid_value"),
        ("think", 1, "invalid_value"),
        ("think", [], "invalid_value"),
        ("format", "xml", "invalid_value"),
        ("format", 1, "invalid_value"),
        ("format", json.loads('{"a":' * 101 + "1" + "}" * 101), "invalid_value"),
        ("truncate", "yes", "invalid_type"),
        ("shift", 1, "invalid_type"),
        ("_debug_render_only", {}, "invalid_type"),
    ],
)
def test_a_wrong_extension_is_refused(wrap: Any, path: str, name: str, value: object, code: str) -> None:
    assert refusal(**wrap({name: value}))[:2] == (f"{path}{name}", code)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"options": []}, "options", "invalid_type"),
        ({"options": {"num_ctx": "x"}}, "options.num_ctx", "invalid_type"),
        ({"options": {"stop": 7}}, "options.stop", "invalid_type"),
        ({"options": {"stop": ["a", None]}}, "options.stop[1]", "invalid_type"),
        ({"options": {"new": json.loads("[" * 101 + "]" * 101)}}, "options.new", "invalid_value"),
        ({"ollama": "x"}, "ollama", "invalid_type"),
        ({"ollama": {"options": 7}}, "ollama.options", "invalid_type"),
        ({"ollama": {"options": {"seed": []}}}, "ollama.options.seed", "invalid_type"),
    ],
)
def test_a_wrong_place_is_refused(fields: dict[str, Any], param: str, code: str) -> None:
    assert refusal(**fields)[:2] == (param, code)


def test_an_unknown_option_is_handed_on_and_named() -> None:
    deepest = json.loads("[" * 100 + "]" * 100)
    request = decode(options={"new": 1, "newer": deepest}, ollama={"options": {"newest": "x"}})
    assert request.options == {"new": 1, "newer": deepest, "newest": "x"}
    assert request.ignored == ("options.new", "options.newer", "ollama.options.newest")


@pytest.mark.parametrize("name", sorted(RETIRED))
def test_a_retired_option_is_named_and_not_sent(name: str) -> None:
    request = decode(**{name: 1, "options": {name: 1}, "ollama": {name: 1, "options": {name: 1}}})
    assert request.options == {}
    assert request.ignored == (name, f"options.{name}", f"ollama.{name}", f"ollama.options.{name}")


def test_an_empty_stop_text_is_named_and_left_out() -> None:
    request = decode(options={"stop": ["a", ""]}, ollama={"stop": ["", "b"]})
    assert request.stop == ("b",)
    assert request.ignored == ("options.stop[1]", "ollama.stop[0]")


def test_what_only_other_endpoints_know_is_named() -> None:
    names = ("template", "system", "raw", "context", "images", "suffix")
    request = decode(**dict.fromkeys(names, "x"), ollama={"raw": True, "model": "y"})
    assert request.ignored == (*names, "ollama.raw", "ollama.model")
    assert request.model == "llama3.2"
