from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from openai import OpenAI
from openai.types.completion_create_params import CompletionCreateParamsBase

from adapters.errors import InvalidRequest
from adapters.openai.completions import Completion, decode_request, split_choices
from adapters.openai.completions_request import READ
from adapters.types import GenerateRequest, Media
from tests.adapters.openai.test_properties import FIELDS, values

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


def decode(*, most: int = 8, **fields: Any) -> Completion:
    """Decode a short request with these fields; a field that is `...` is left out."""
    body = {"model": "llama3.2", "prompt": "Once", **fields}
    sent = json.dumps({name: value for name, value in body.items() if value is not ...}).encode()
    return decode_request(sent, most=most)


def refusal(**fields: Any) -> tuple[str | None, str, str]:
    with pytest.raises(InvalidRequest) as caught:
        decode(**fields)
    return caught.value.param, caught.value.code, caught.value.message


def asked(**fields: Any) -> GenerateRequest:
    return decode(**fields).request


# --- what is read -----------------------------------------------------------------------------------------------------


def test_a_short_request_says_nothing_else() -> None:
    request = GenerateRequest(model="llama3.2", prompt="Once")
    assert decode() == Completion(request=request, prompts=("Once",))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"prompt": ["Once"]}, {}),
        ({"max_tokens": 5}, {"options": {"num_predict": 5}}),
        ({"max_completion_tokens": 6, "max_tokens": 5}, {"options": {"num_predict": 6}}),
        ({"temperature": 2}, {"options": {"temperature": 2}}),
        ({"top_p": 0.5}, {"options": {"top_p": 0.5}}),
        (
            {"frequency_penalty": -2, "presence_penalty": 2},
            {"options": {"frequency_penalty": -2, "presence_penalty": 2}},
        ),
        ({"seed": 2**63}, {"options": {"seed": -(2**63)}}),
        ({"stop": "\n"}, {"stop": ("\n",)}),
        ({"stop": ["a", "b"]}, {"stop": ("a", "b")}),
        ({"stream": True}, {"stream": True}),
        ({"user": "u-1"}, {"user": "u-1"}),
        ({"logprobs": 0}, {"logprobs": True}),
        ({"logprobs": 20}, {"logprobs": True, "top_logprobs": 20}),
        ({"suffix": "}"}, {"suffix": "}", "raw": False}),
        ({"suffix": ""}, {}),
        ({"suffix": None}, {}),
        ({"logit_bias": {}}, {}),
        ({"n": None, "best_of": None, "echo": None, "logprobs": None, "stop": None, "user": None}, {}),
    ],
)
def test_a_field_of_openai(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert asked(**fields) == GenerateRequest(model="llama3.2", prompt="Once", **expected)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"raw": True}, {"raw": True}),
        ({"raw": False}, {"raw": False}),
        ({"context": [1, 2]}, {"context": Raw(b"[1,2]"), "raw": False}),
        ({"context": [0, 2**31 - 1]}, {"context": Raw(b"[0,2147483647]"), "raw": False}),
        ({"context": []}, {"context": Raw(b"[]"), "raw": False}),
        ({"system": "Be brief."}, {"system": "Be brief.", "raw": False}),
        ({"template": "{{ .Prompt }}"}, {"template": "{{ .Prompt }}", "raw": False}),
        ({"system": "", "template": ""}, {}),
        ({"images": [PIXEL]}, {"media": (Media("image", PIXEL),), "raw": False}),
        ({"images": [f"data:image/png;base64,{PIXEL}"]}, {"media": (Media("image", PIXEL),), "raw": False}),
        ({"images": [PIXEL], "raw": True}, {"media": (Media("image", PIXEL),), "raw": True}),
        ({"images": []}, {}),
        ({"raw": True, "system": "", "suffix": ""}, {"raw": True}),
        ({"format": "json"}, {"format": "json"}),
        ({"format": ""}, {}),
        ({"think": "low"}, {"think": "low", "think_param": "think"}),
        ({"truncate": True, "shift": False}, {"truncate": True, "shift": False}),
        ({"keep_alive": "10m"}, {"keep_alive": "10m"}),
        ({"_debug_render_only": True}, {"render_only": True}),
        ({"num_ctx": 64, "options": {"top_k": 3}}, {"options": {"num_ctx": 64, "top_k": 3}}),
        ({"max_tokens": 5, "options": {"num_predict": -1}}, {"options": {"num_predict": -1}}),
        ({"stop": "a", "options": {"stop": ["b"]}}, {"stop": ("b",)}),
    ],
)
def test_an_extension_field_at_top_level_and_within_ollama(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    request = GenerateRequest(model="llama3.2", prompt="Once", **expected)
    assert asked(**fields) == request
    own = {name: value for name, value in fields.items() if name in READ and name != "stop"}
    assert asked(**own, ollama={name: value for name, value in fields.items() if name not in own}) == request


def test_of_what_is_given_twice_the_later_place_counts() -> None:
    assert asked(raw=False, ollama={"raw": True}).raw is True
    assert asked(system="a", ollama={"system": "b"}).system == "b"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"prompt": ["a", "b"]}, {"prompts": ("a", "b")}),
        ({"n": 3}, {"n": 3, "best_of": 3}),
        ({"n": 2.0}, {"n": 2, "best_of": 2}),
        ({"best_of": 4}, {"best_of": 4}),
        ({"n": 2, "best_of": 2}, {"n": 2, "best_of": 2}),
        ({"n": 2, "best_of": 2, "stream": True}, {"n": 2, "best_of": 2}),
        ({"echo": True}, {"echo": True}),
        ({"logprobs": 0}, {"logprobs": 0}),
        ({"logprobs": 5}, {"logprobs": 5}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"include_usage": True}),
        ({"stream_options": {"include_usage": True}}, {}),
    ],
)
def test_what_concerns_the_answer_and_no_host(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    completion = decode(**fields)
    request = completion.request
    assert completion == Completion(**{"request": request, "prompts": ("Once",), **expected})


def test_the_best_can_only_be_chosen_by_their_log_probabilities() -> None:
    assert (asked(best_of=2).logprobs, asked(best_of=2, n=2).logprobs) == (True, False)
    assert decode(best_of=2).logprobs is None


@pytest.mark.parametrize(
    ("fields", "ignored"),
    [
        ({"max_toknes": 5}, ("max_toknes",)),
        ({"top_logprobs": 3}, ("top_logprobs",)),
        ({"messages": []}, ("messages",)),
        ({"response_format": {"type": "json_object"}}, ("response_format",)),
        ({"metadata": {"a": "b"}}, ("metadata",)),
        ({"stream_options": {"include_usage": True}}, ("stream_options",)),
        ({"ollama": {"raw": False, "nope": 1}}, ("ollama.nope",)),
        ({"options": {"nope": 1}}, ("options.nope",)),
        ({"suffix": "}", "system": "Be brief."}, ("system",)),
        ({"stop": ["", "a"]}, ("stop[0]",)),
        ({"nope": None}, ()),
    ],
)
def test_what_has_no_effect_is_named(fields: dict[str, Any], ignored: tuple[str, ...]) -> None:
    assert asked(**fields).ignored == ignored


def test_every_field_of_the_sdk_is_read() -> None:
    of_the_sdk = set(CompletionCreateParamsBase.__annotations__) | {"stream"}
    assert of_the_sdk | {"max_completion_tokens"} == READ


def test_every_field_of_the_sdk_can_be_given() -> None:
    sent: list[bytes] = []

    def respond(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.read())
        return httpx2.Response(200, json={"choices": []})

    with httpx2.Client(transport=httpx2.MockTransport(respond)) as http:
        client = OpenAI(api_key="none", base_url="http://gateway/v1", http_client=http)
        client.completions.create(
            model="m",
            prompt=["a", "b"],
            best_of=2,
            echo=False,
            frequency_penalty=0.1,
            logit_bias={},
            logprobs=2,
            max_tokens=5,
            n=1,
            presence_penalty=0.2,
            seed=3,
            stop=["x"],
            suffix="}",
            temperature=0.3,
            top_p=0.4,
            user="u",
            extra_body={"context": [1]},
        )
    completion = decode_request(sent[0], most=4)
    assert completion.request.ignored == ()
    assert completion.prompts == ("a", "b")


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"model": ...}, "model", "missing_required_parameter"),
        ({"model": ""}, "model", "empty_string"),
        ({"prompt": ...}, "prompt", "missing_required_parameter"),
        ({"prompt": None}, "prompt", "missing_required_parameter"),
        ({"prompt": ""}, "prompt", "empty_string"),
        ({"prompt": []}, "prompt", "empty_array"),
        ({"prompt": ["a", ""]}, "prompt[1]", "empty_string"),
        ({"prompt": ["a", None]}, "prompt[1]", "invalid_type"),
        ({"prompt": ["a", True]}, "prompt[1]", "invalid_type"),
        ({"prompt": {"text": "a"}}, "prompt", "invalid_type"),
        ({"prompt": 5}, "prompt", "invalid_type"),
        ({"prompt": [1, 2, 3]}, "prompt", "unsupported_value"),
        ({"prompt": [[1, 2], [3]]}, "prompt", "unsupported_value"),
        ({"suffix": 5}, "suffix", "invalid_type"),
        ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
        ({"max_tokens": "5"}, "max_tokens", "invalid_type"),
        ({"temperature": 2.1}, "temperature", "decimal_above_max_value"),
        ({"top_p": -0.1}, "top_p", "decimal_below_min_value"),
        ({"presence_penalty": 3}, "presence_penalty", "decimal_above_max_value"),
        ({"frequency_penalty": -3}, "frequency_penalty", "decimal_below_min_value"),
        ({"stop": ["1", "2", "3", "4", "5"]}, "stop", "array_above_max_length"),
        ({"stop": 5}, "stop", "invalid_type"),
        ({"logprobs": -1}, "logprobs", "integer_below_min_value"),
        ({"logprobs": 21}, "logprobs", "integer_above_max_value"),
        ({"logprobs": True}, "logprobs", "invalid_type"),
        ({"logprobs": 0, "echo": True}, "echo", "unsupported_value"),
        ({"echo": "yes"}, "echo", "invalid_type"),
        ({"logit_bias": {"5": 1}}, "logit_bias", "unsupported_parameter"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"n": 9}, "n", "integer_above_max_value"),
        ({"best_of": 0}, "best_of", "integer_below_min_value"),
        ({"best_of": 9}, "best_of", "integer_above_max_value"),
        ({"best_of": 1, "n": 2}, "best_of", "invalid_value"),
        ({"best_of": 2, "stream": True}, "best_of", "unsupported_value"),
        ({"prompt": ["a"] * 9}, "prompt", "array_above_max_length"),
        ({"prompt": ["a"] * 3, "n": 3}, "prompt", "array_above_max_length"),
        ({"prompt": ["a"] * 3, "best_of": 3}, "prompt", "array_above_max_length"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"user": 5}, "user", "invalid_type"),
        ({"raw": True, "context": [1]}, "context", "invalid_value"),
        ({"raw": True, "context": []}, "context", "invalid_value"),
        ({"raw": True, "system": "x"}, "system", "invalid_value"),
        ({"raw": True, "template": "x"}, "template", "invalid_value"),
        ({"raw": True, "suffix": "x"}, "suffix", "invalid_value"),
        ({"raw": "yes"}, "raw", "invalid_type"),
        ({"ollama": {"raw": "yes"}}, "ollama.raw", "invalid_type"),
        ({"system": 5}, "system", "invalid_type"),
        ({"template": 5}, "template", "invalid_type"),
        ({"context": "x"}, "context", "invalid_type"),
        ({"context": [1, "x"]}, "context[1]", "invalid_type"),
        ({"context": [True]}, "context[0]", "invalid_type"),
        ({"context": [1, -1]}, "context[1]", "invalid_value"),
        ({"context": [1, 2**31]}, "context[1]", "invalid_value"),
        ({"ollama": {"context": [2**80]}}, "ollama.context[0]", "invalid_value"),
        ({"prompt": ["a", *[5] * 8]}, "prompt", "array_above_max_length"),
        ({"prompt": [1] * 9}, "prompt", "unsupported_value"),
        ({"images": PIXEL}, "images", "invalid_type"),
        ({"images": [5]}, "images[0]", "invalid_type"),
        ({"images": ["https://x.org/a.png"]}, "images[0]", "invalid_image_url"),
        ({"images": ["!"]}, "images[0]", "invalid_base64_image"),
        ({"images": ["QUJD"]}, "images[0]", "invalid_image"),
        ({"images": [""]}, "images[0]", "empty_image_file"),
    ],
)
def test_a_refusal_names_the_field(fields: dict[str, Any], param: str, code: str) -> None:
    assert refusal(**fields)[:2] == (param, code)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"prompt": [[1]]},
            "Prompts of token ids are not supported: hosts only read text. Send the prompt as a string.",
        ),
        (
            {"prompt": ["a"] * 3, "n": 3},
            "3 prompts with 3 answers each are 9 answers; at most 8 are given to one request. "
            "Send the prompts in several requests.",
        ),
        (
            {"prompt": ["a"] * 9},
            "Invalid 'prompt': array too long. Expected an array with maximum length 8, but got an array with length 9 "
            "instead. Send the prompts in several requests.",
        ),
        (
            {"raw": True, "system": "x"},
            "'system' has no place in a prompt that is read as it is. Leave it out, or leave out 'raw'.",
        ),
    ],
)
def test_a_refusal_says_what_is_wrong(fields: dict[str, Any], message: str) -> None:
    assert refusal(**fields)[2] == message


# --- one request for each answer --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "made"),
    [
        ({}, [("Once", None)]),
        ({"seed": 7}, [("Once", 7)]),
        ({"n": 3}, [("Once", None)] * 3),
        ({"n": 3, "seed": 7}, [("Once", 7), ("Once", 8), ("Once", 9)]),
        ({"best_of": 2, "seed": 2**63 - 1}, [("Once", 2**63 - 1), ("Once", -(2**63))]),
        ({"prompt": ["a", "b"], "n": 2, "seed": 1}, [("a", 1), ("a", 2), ("b", 1), ("b", 2)]),
    ],
)
def test_each_answer_has_a_request_of_its_own(fields: dict[str, Any], made: list[tuple[str, int | None]]) -> None:
    requests = split_choices(decode(**fields, top_k=3))
    assert [(request.prompt, request.options.get("seed")) for request in requests] == made
    assert all(request.options["top_k"] == 3 for request in requests)


# --- whatever comes ---------------------------------------------------------------------------------------------------

NAMES = sorted({*FIELDS, *READ, "raw", "context", "system", "template", "images"})


def outcome(body: bytes) -> Completion | InvalidRequest:
    """Decode; any other exception than a refusal fails the test."""
    try:
        return decode_request(body, most=8)
    except InvalidRequest as error:
        return error


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_no_bytes_raise_anything_but_a_refusal(body: bytes) -> None:
    assert isinstance(outcome(body), InvalidRequest)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), values, max_size=4), st.text(min_size=1, max_size=5) | values)
def test_no_fields_raise_anything_but_a_refusal(fields: dict[str, Any], prompt: Any) -> None:
    found = outcome(json.dumps({"model": "m", "prompt": prompt, **fields}).encode())
    if isinstance(found, InvalidRequest):
        assert found.message
    else:
        assert 1 <= len(split_choices(found)) <= 8
