from __future__ import annotations

import pytest
from msgspec.structs import replace

from adapters.errors import InvalidRequest
from adapters.ollama.profile import fit, needs_profile
from adapters.types import ChatRequest, Media, Message, Profile

PLAIN = ChatRequest(model="m", messages=(Message(role="user", text="hi"),))
IMAGE = replace(PLAIN, messages=(*PLAIN.messages, Message(role="user", media=(Media("image", "eA=="),))))
AUDIO = replace(PLAIN, messages=(Message(role="user", media=(Media("audio", "eA=="),)),))


@pytest.mark.parametrize(
    ("request_", "needed"),
    [
        (PLAIN, False),
        (replace(PLAIN, think=False), False),
        (replace(PLAIN, think=True), True),
        (replace(PLAIN, think="low"), True),
        (replace(PLAIN, stop=("x",)), True),
        (IMAGE, True),
    ],
)
def test_a_profile_is_asked_for_only_where_it_matters(request_, needed):
    assert needs_profile(request_) is needed


@pytest.mark.parametrize("request_", [PLAIN, replace(PLAIN, think="high"), IMAGE, AUDIO])
def test_what_a_model_can_do_is_left_alone(request_):
    able = Profile(capabilities=frozenset({"completion", "thinking", "vision", "audio"}))

    assert fit(request_, able) == request_


@pytest.mark.parametrize("request_", [replace(PLAIN, think="high"), IMAGE])
def test_a_host_that_does_not_tell_is_left_to_decide(request_):
    assert fit(request_, Profile()) == request_


@pytest.mark.parametrize(("param", "ignored"), [("reasoning", ("foo", "reasoning")), ("", ("foo",))])
def test_a_model_that_cannot_think_answers_without(param, ignored):
    """Only what the caller said can be ignored; the configuration may have said it too."""
    asked = replace(PLAIN, think="high", think_param=param, ignored=("foo",))

    assert fit(asked, Profile(capabilities=frozenset({"completion"}))) == replace(
        PLAIN, think_param=param, ignored=ignored
    )


@pytest.mark.parametrize(
    ("request_", "param", "kind"), [(IMAGE, "messages[1].content", "image"), (AUDIO, "messages[0].content", "audio")]
)
def test_a_picture_or_sound_that_a_model_does_not_take_is_refused(request_, param, kind):
    with pytest.raises(InvalidRequest, match=f"'m' does not take {kind} input") as caught:
        fit(request_, Profile(capabilities=frozenset({"completion"})))
    assert (caught.value.param, caught.value.code) == (param, "unsupported_value")
