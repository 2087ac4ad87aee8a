"""Failures in Ollama's shape: the host's own bytes where it was the host that told of them."""

from __future__ import annotations

import json

import pytest

from adapters.errors import (
    Forbidden,
    GatewayError,
    HostAnswer,
    HostBroken,
    HostBusy,
    HostLacksModel,
    HostRefused,
    InvalidRequest,
    MethodNotAllowed,
    NoHost,
    Unauthorized,
)
from adapters.ollama.native.errors import JSON, TEXT, encode_error, encode_line, encode_refusal, words
from tests.adapters.ollama.recorded import ROOT, recording

OLLAMAS = HostAnswer(404, b"application/json", b'{"error":"model \'x\' not found"}')


def told(error: GatewayError, refusal: HostAnswer | None = None) -> HostAnswer:
    error.refusal = refusal
    return encode_refusal(error)


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("unexpected EOF"),
        Unauthorized("No key."),
        NoHost("None is up."),
        HostBusy("Busy."),
        HostBroken("It says “what?” <b>, \x00."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_gateways_own_words_stand_in_ollamas_shape(error: GatewayError) -> None:
    answer = told(error)

    assert (answer.status, answer.media_type) == (error.status, JSON)
    assert json.loads(answer.body) == {"error": error.message}


@pytest.mark.parametrize("error", [HostLacksModel("a"), InvalidRequest("b"), Forbidden("c"), HostBroken("d")])
def test_what_the_host_said_is_passed_on_as_it_is(error: GatewayError) -> None:
    assert told(error, OLLAMAS) is OLLAMAS


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Bad Gateway</html>",
        b"404 page not found",
        b'{"message":"no Ollama"}',
        b'["error"]',
        b'{"error":',
        b'{"\xff":1}',
        b'{"error":' + b"[" * 100_000,
    ],
    ids=["nothing", "HTML", "a text", "another object", "a list", "half of it", "no UTF-8", "a bomb"],
)
def test_what_is_not_ollamas_is_told_in_the_gateways_words(body: bytes) -> None:
    answer = told(HostBroken("The host failed."), HostAnswer(502, b"text/html", body))

    assert answer == HostAnswer(502, JSON, b'{"error":"The host failed."}')


def test_a_host_that_asks_for_credentials_means_the_gateways() -> None:
    refusal = HostAnswer(401, b"application/json", b'{"error":"unauthorized"}')

    assert told(HostRefused("Not let in."), refusal) == HostAnswer(502, JSON, b'{"error":"Not let in."}')


def test_ollamas_cloud_means_the_caller_and_says_where_to_sign_in() -> None:
    refusal = HostAnswer(401, b"application/json", b'{"error":"unauthorized","signin_url":"https://example.com/"}')

    assert told(HostRefused("Not let in."), refusal) is refusal


def test_a_wrong_method_is_answered_as_ollama_does() -> None:
    theirs = recording("0.33/misc-wrong-method-chat")

    assert encode_refusal(MethodNotAllowed("No.", allow=("POST",))) == HostAnswer(405, TEXT, theirs.body)


@pytest.mark.parametrize("text", ["", "no space left", "“what?” \x00 \n"])
def test_a_text_alone_is_an_error_in_ollamas_shape_on_one_line(text: str) -> None:
    assert json.loads(encode_error(text)) == {"error": text}
    assert b"\n" not in encode_error(text)


def test_a_line_within_a_stream_ends_with_a_line_feed() -> None:
    error = HostBroken("It broke.")
    own = encode_line(error)
    error.refusal = OLLAMAS

    assert own == b'{"error":"It broke."}\n'
    assert encode_line(error) == OLLAMAS.body + b"\n"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error":"a <b>"}', "a <b>"),
        (b'{"error":""}', ""),
        (b'{"error":{"code":500}}', "The host failed."),
        (b"<html>", "The host failed."),
    ],
)
def test_the_words_of_a_failure_are_the_hosts_where_it_has_some(body: bytes, said: str) -> None:
    error = HostBroken("The host failed.")
    assert words(error) == "The host failed."
    error.refusal = HostAnswer(500, JSON, body)
    assert words(error) == said


def test_every_recorded_error_counts_as_ollamas_and_nothing_else_does() -> None:
    answers = [recording(f"{file.parent.name}/{file.stem}") for file in sorted(ROOT.glob("*/*.json"))]
    errors = {one.name for one in answers if one.status >= 400 and one.body.startswith(b'{"error":')}
    passed = set()
    for one in answers:
        said = HostAnswer(one.status, JSON, one.body)
        if told(HostBroken("It broke."), said) is said:
            passed.add(one.name)

    assert len(errors) > 100
    assert passed == errors
