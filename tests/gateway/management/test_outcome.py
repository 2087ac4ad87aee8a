from __future__ import annotations

import json

import pytest

from adapters.errors import GatewayError, HostAnswer, HostBroken, HostLacksModel, HostTimeout, HostUnreachable
from adapters.ollama.native.errors import encode_refusal
from gateway.management.outcome import Outcome, outcome, refused, verdict

DONE = HostAnswer(200, b"", b"")
LACKING = HostAnswer(404, b"application/json; charset=utf-8", b'{"error":"model \'x\' not found"}')
BAD = HostAnswer(400, b"application/json; charset=utf-8", b'{"error":"destination \\"a/b/c/d/e\\" is invalid"}')
BAD_TOO = HostAnswer(400, b"application/json; charset=utf-8", b'{"error":"the name is bad"}')
FULL = HostAnswer(500, b"application/json", b'{"error":"no space left on device"}')
STRANGER = HostAnswer(401, b"text/html", b"<h1>Who are you?</h1>")
DOWN = HostUnreachable("The host is down.")


def told(found: Outcome) -> tuple[int, str]:
    """Return the status and the text that a caller of Ollama's API gets."""
    try:
        answer = found.answer()
    except GatewayError as error:
        answer = encode_refusal(error)
    return answer.status, json.loads(answer.body)["error"] if answer.body else ""


@pytest.mark.parametrize(
    ("answers", "status", "text"),
    [
        ({"a": DONE, "b": DONE}, 200, ""),
        ({"a": DONE, "b": LACKING}, 200, ""),
        ({"a": LACKING, "b": LACKING}, 404, "model 'x' not found"),
        ({"a": BAD, "b": BAD}, 400, 'destination "a/b/c/d/e" is invalid'),
        ({"a": BAD, "b": BAD_TOO}, 400, 'a: destination "a/b/c/d/e" is invalid; b: the name is bad'),
        ({"a": FULL, "b": DONE, "c": LACKING}, 500, "a: no space left on device. It is done on b."),
        ({"a": FULL, "b": FULL, "c": DONE}, 500, "a, b: no space left on device. It is done on c."),
        ({"a": FULL, "b": BAD}, 502, 'a: no space left on device; b: destination "a/b/c/d/e" is invalid'),
        ({"a": FULL, "b": LACKING}, 500, "a: no space left on device"),
        ({"a": HostBroken("It broke."), "b": DONE}, 502, "a: It broke. It is done on b."),
        ({"a": HostTimeout("Too slow."), "b": HostTimeout("Too slow.")}, 504, "a, b: Too slow"),
        ({"a": HostUnreachable("Gone."), "b": DONE}, 200, ""),
        ({"a": HostUnreachable("Gone."), "b": LACKING}, 404, "model 'x' not found"),
        ({"a": HostUnreachable("Gone."), "b": HostUnreachable("Gone.")}, 502, "a, b: Gone"),
        ({"a": HostUnreachable("Gone.")}, 502, "Gone."),
        ({"a": STRANGER}, 502, "The host asks for credentials that the gateway does not have."),
        (
            {"a": STRANGER, "b": DONE},
            502,
            "a: The host asks for credentials that the gateway does not have. It is done on b.",
        ),
    ],
)
def test_what_a_caller_is_told_of_a_call_to_several_hosts(answers, status, text):
    assert told(outcome(answers, "x", lenient=True)) == (status, text)


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ({"a": DONE, "b": HostUnreachable("Gone.")}, "b: Gone. It is done on a."),
        ({"a": DONE, "b": DOWN}, "b: The host is down. It is done on a."),
        ({"a": LACKING, "b": DOWN}, "b: The host is down"),
        ({"a": DOWN}, "The host is down."),
    ],
)
def test_a_host_that_was_named_and_is_down_is_a_failure(answers, text):
    assert told(outcome(answers, "x", lenient=False)) == (502, text)


@pytest.mark.parametrize(
    ("answers", "status", "text"),
    [
        ({"a": DONE, "b": DONE}, 200, ""),
        ({"a": DONE, "b": LACKING}, 404, "b: model 'x' not found. It is done on a."),
        ({"a": LACKING, "b": LACKING}, 404, "model 'x' not found"),
        ({"a": LACKING, "b": FULL}, 502, "a: model 'x' not found; b: no space left on device"),
    ],
)
def test_a_host_that_must_have_the_model_and_lacks_it_is_a_failure(answers, status, text):
    assert told(outcome(answers, "x", lenient=False, may_lack=False)) == (status, text)


def test_an_answer_that_is_relayed_is_the_host_s_own_to_the_byte():
    with pytest.raises(HostLacksModel) as caught:
        outcome({"a": LACKING, "b": LACKING}, "x", lenient=True).answer()

    assert encode_refusal(caught.value) is LACKING


def test_the_words_of_a_failure_that_no_host_told_are_the_gateway_s():
    error = verdict({"a": refused(FULL), "b": HostBroken("It broke.")})

    assert (error.message, error.status) == ("a: no space left on device; b: It broke", 502)
