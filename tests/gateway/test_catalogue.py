from __future__ import annotations

import pytest

from adapters.types import ChatRequest, EmbedRequest, GenerateRequest, Message
from gateway.catalogue import Catalogue
from gateway.config import ModelSettings

CATALOGUE = Catalogue(
    {
        "llama3.2": ModelSettings(
            aliases=("gpt-4o-mini", "Small"),
            options={"num_ctx": 8192, "temperature": 0.5, "stop": ["<end>"]},
            keep_alive="30m",
            think=False,
            truncate=True,
        )
    }
)


def ask(model="llama3.2", **fields) -> ChatRequest:
    return ChatRequest(model=model, messages=(Message(role="user", text="hi"),), **fields)


def apply(request):
    return CATALOGUE.apply(CATALOGUE.key(request.model), request)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("llama3.2", "llama3.2:latest"),
        ("Llama3.2:LATEST", "llama3.2:latest"),
        ("gpt-4o-mini", "llama3.2:latest"),
        ("GPT-4o-mini:latest", "llama3.2:latest"),
        ("small", "llama3.2:latest"),
        ("qwen3:8b", "qwen3:8b"),
    ],
)
def test_a_name_means_a_model(name, key):
    assert CATALOGUE.key(name) == key


def test_what_the_caller_did_not_say_comes_from_the_configuration():
    request = apply(ask())

    assert request == ask(
        options={"num_ctx": 8192, "temperature": 0.5}, stop=("<end>",), keep_alive="30m", think=False, truncate=True
    )


def test_what_the_caller_said_wins():
    said = ask(options={"temperature": 0.9}, stop=("x",), keep_alive=0, think=True, truncate=False)

    request = apply(said)

    assert request == ask(
        options={"num_ctx": 8192, "temperature": 0.9}, stop=("x",), keep_alive=0, think=True, truncate=False
    )


def test_a_model_that_is_not_configured_is_left_alone_but_never_cut():
    assert apply(ask("qwen3:8b")) == ask("qwen3:8b", truncate=False)


def test_an_alias_has_the_settings_of_what_it_means():
    assert apply(ask("Small")).keep_alive == "30m"


def test_a_request_for_vectors_takes_what_is_about_loading_and_cutting():
    request = apply(EmbedRequest(model="llama3.2", inputs=("hi",)))

    assert request == EmbedRequest(
        model="llama3.2",
        inputs=("hi",),
        options={"num_ctx": 8192, "temperature": 0.5},
        keep_alive="30m",
        truncate=True,
    )


def test_applying_twice_changes_nothing():
    once = apply(ask(options={"seed": 7}))

    assert apply(once) == once


@pytest.mark.parametrize(("model", "checks"), [("llama3.2", True), ("loose", False), ("unknown", True)])
def test_whether_strict_means_a_check(model, checks):
    catalogue = Catalogue({"llama3.2": ModelSettings(), "loose": ModelSettings(check_schema=False)})

    assert catalogue.checks_schemas(model) is checks


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        ("lama3.2", "Did you mean llama3.2?"),
        ("gpt-4o-mni", "Did you mean gpt-4o-mini?"),
        ("zzz", "GET /v1/models lists what there is."),
    ],
)
def test_a_model_that_is_not_there_is_answered_with_near_misses(model, hint):
    error = CATALOGUE.not_found(model, ["llama3.2:latest", "qwen3:8b"])

    assert (error.message, error.param, error.status) == (
        f"The model {model!r} does not exist here. {hint}",
        "model",
        404,
    )


def test_an_alias_of_a_model_that_is_not_there_says_what_it_stands_for():
    error = CATALOGUE.not_found("gpt-4o-mini", ["qwen3:8b"])

    assert error.message == "The model 'gpt-4o-mini' stands for 'llama3.2' here, which no host has."
    assert "gpt" not in CATALOGUE.not_found("gpt-4o-mni", ["qwen3:8b"]).message.replace("gpt-4o-mni", "")


def test_a_name_without_end_is_neither_compared_nor_repeated():
    error = CATALOGUE.not_found("x" * 10_000_000, ["llama3.2:latest"])

    assert len(error.message) < 400


def complete(model="llama3.2", **fields) -> GenerateRequest:
    return GenerateRequest(model=model, prompt="Once", **fields)


@pytest.mark.parametrize(
    ("model", "said", "raw"),
    [
        ("plain", None, True),
        ("templated", None, False),
        ("plain", False, False),
        ("templated", True, True),
        ("unknown", None, True),
    ],
)
def test_a_prompt_is_read_as_it_is_unless_someone_says_otherwise(model, said, raw):
    catalogue = Catalogue({"plain": ModelSettings(), "templated": ModelSettings(templated=True)})

    assert catalogue.apply(catalogue.key(model), complete(model, raw=said)).raw is raw


@pytest.mark.parametrize(("raw", "said", "think"), [(True, None, None), (True, True, True), (False, None, False)])
def test_how_a_model_thinks_when_it_is_asked_is_no_matter_where_it_only_goes_on(raw, said, think):
    assert CATALOGUE.apply("llama3.2:latest", complete(raw=raw, think=said)).think is think
