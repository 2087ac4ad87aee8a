from __future__ import annotations

import re
from contextlib import nullcontext
from typing import Any

import pytest
from msgspec.structs import replace

from adapters.errors import InvalidRequest, LacksCapability
from adapters.ollama.inventory import Version, decode_show
from adapters.ollama.profile import can_think, fit, lacking, must_know, needs_profile, offers
from adapters.types import ChatRequest, EmbedRequest, GenerateRequest, Media, Message, Profile, Request, Tool
from tests.adapters.ollama.recorded import Recording, recordings

OLD, NEW = Version(0, 24, 0, "0.24.0"), Version(0, 33, 0, "0.33.0")

PICTURE, SOUND = Media("image", "eA=="), Media("audio", "eA==")
CHAT = ChatRequest(model="m", messages=(Message(role="user", text="hi"),))
IMAGE = replace(CHAT, messages=(*CHAT.messages, Message(role="user", media=(PICTURE,))))
AUDIO = replace(CHAT, messages=(Message(role="user", media=(SOUND,)),))
TOOLS = replace(CHAT, tools=(Tool(name="f"),))
GENERATE = GenerateRequest(model="m", prompt="hi")
EMBED = EmbedRequest(model="m", inputs=("hi",))

ALL = frozenset({"completion", "tools", "vision", "thinking", "insert", "embedding", "audio"})


@pytest.mark.parametrize(
    ("request_", "needed"),
    [
        (CHAT, False),
        (TOOLS, False),
        (replace(CHAT, think=False), False),
        (replace(CHAT, think=True), True),
        (replace(CHAT, think="low"), True),
        (replace(CHAT, stop=("x",)), True),
        (IMAGE, True),
        (GENERATE, False),
        (replace(GENERATE, suffix="x"), False),
        (replace(GENERATE, stop=("x",)), True),
        (replace(GENERATE, think=True), True),
        (replace(GENERATE, media=(PICTURE,)), True),
        (EMBED, False),
        (replace(EMBED, dimensions=8), True),
    ],
)
def test_a_profile_is_asked_for_only_where_it_matters(request_: Request, needed: bool) -> None:
    assert needs_profile(request_) is needed


NEEDS = [
    (CHAT, "completion", "model", "does not write text"),
    (TOOLS, "tools", "tools", "cannot call tools"),
    (replace(TOOLS, legacy_functions=True), "tools", "functions", "cannot call tools"),
    (IMAGE, "vision", "messages[1].content", "cannot see images"),
    (AUDIO, "audio", "messages[0].content", "cannot hear sound"),
    (GENERATE, "completion", "model", "does not write text"),
    (replace(GENERATE, suffix="x"), "insert", "suffix", "cannot fill in text before a suffix"),
    (replace(GENERATE, media=(PICTURE,)), "vision", "images", "cannot see images"),
    (replace(GENERATE, media=(SOUND,)), "audio", "images", "cannot hear sound"),
    (EMBED, "embedding", "model", "does not make embeddings"),
]


@pytest.mark.parametrize(("request_", "capability", "param", "cannot"), NEEDS)
def test_what_a_model_lacks_is_refused_and_named(request_: Request, capability: str, param: str, cannot: str) -> None:
    with pytest.raises(LacksCapability) as caught:
        fit(request_, Profile(capabilities=ALL - {capability}), NEW)

    error = caught.value
    code = "unsupported_parameter" if capability in ("tools", "insert") else "unsupported_value"
    assert (error.status, error.code, error.capability, error.param) == (400, code, capability, param)
    assert error.message == f"The model 'm' {cannot} (it lacks the capability '{capability}')."


@pytest.mark.parametrize(("request_", "capability", "param", "cannot"), NEEDS)
def test_what_a_model_can_do_is_left_alone(request_: Request, capability: str, param: str, cannot: str) -> None:
    kind = frozenset({"embedding"} if isinstance(request_, EmbedRequest) else {"completion"})

    assert fit(request_, Profile(capabilities=kind | {capability}), NEW) is request_


@pytest.mark.parametrize("request_", [*(row[0] for row in NEEDS), replace(CHAT, think="high")])
def test_a_host_that_does_not_tell_is_left_to_decide(request_: Request) -> None:
    assert fit(request_, Profile(), NEW) is request_


@pytest.mark.parametrize("version", [OLD, Version(0, 29, 9), None])
def test_hosts_that_embed_with_any_model_are_left_to_decide(version: Version | None) -> None:
    assert fit(EMBED, Profile(capabilities=frozenset({"completion"})), version) is EMBED


@pytest.mark.parametrize(("param", "ignored"), [("reasoning", ("foo", "reasoning")), ("", ("foo",))])
def test_a_model_that_cannot_think_answers_without(param: str, ignored: tuple[str, ...]) -> None:
    """Only what the caller said can be ignored; the configuration may have said it too."""
    profile = Profile(capabilities=ALL - {"thinking"})
    for request in (CHAT, GENERATE):
        asked = replace(request, think="high", think_param=param, ignored=("foo",))

        assert fit(asked, profile, NEW) == replace(request, think_param=param, ignored=ignored)


@pytest.mark.parametrize(
    ("dimensions", "length", "fits"),
    [(None, 32, True), (1, 32, True), (32, 32, True), (33, 32, False), (9999, None, True)],
)
@pytest.mark.parametrize("capabilities", [frozenset({"embedding"}), frozenset()])
def test_vectors_cannot_be_longer_than_the_model_makes_them(
    dimensions: int | None, length: int | None, fits: bool, capabilities: frozenset[str]
) -> None:
    request, profile = (
        replace(EMBED, dimensions=dimensions),
        Profile(capabilities=capabilities, embedding_length=length),
    )
    if fits:
        assert fit(request, profile, NEW) is request
        return
    with pytest.raises(InvalidRequest, match="of 32 dimensions, and 33 were asked for") as caught:
        fit(request, profile, NEW)
    assert (caught.value.param, caught.value.code) == ("dimensions", "invalid_value")


# --- models that can --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capabilities", "capability", "offered"),
    [
        ({"completion", "tools"}, "tools", True),
        ({"completion"}, "tools", False),
        ({"embedding", "tools"}, "tools", False),
        ({"embedding"}, "embedding", True),
        ({"embedding"}, "completion", False),
        (set(), "completion", False),
    ],
)
def test_models_to_turn_to(capabilities: set[str], capability: str, offered: bool) -> None:
    assert offers(Profile(capabilities=frozenset(capabilities)), capability) is offered


@pytest.mark.parametrize(
    ("able", "hint"),
    [
        ([], "No model here can."),
        (["a"], "Models here that can: a."),
        (["a", "b", "c", "d", "e"], "Models here that can: a, b, c, d, e."),
        (["a", "b", "c", "d", "e", "f", "g"], "Models here that can: a, b, c, d, e and 2 more."),
    ],
)
def test_the_models_that_can_are_named(able: list[str], hint: str) -> None:
    error = lacking(LacksCapability("It cannot.", capability="vision", param="messages[0].content"), able)

    assert error.message == f"It cannot. {hint}"
    assert (error.capability, error.param, error.code) == ("vision", "messages[0].content", "unsupported_value")


# --- what real hosts did ----------------------------------------------------------------------------------------------

PROFILES = {
    (one.name.partition("/")[0], one.request["body"]["model"]): decode_show(one.body)
    for one in recordings("/api/show")
    if one.status == 200 and one.request["body"].keys() == {"model"}
}

REFUSED = re.compile(r"does not support (tools|insert|chat|generate|embeddings)")
LACKING = {"chat": "completion", "generate": "completion", "embeddings": "embedding"}

LEFT_TO_THE_HOST = {"0.24/embed-chat-model-new-engine"}
"""An old host embeds with a chat model or does not: that depends on the engine it runs it with."""


def asked(one: Recording) -> Request | None:
    """Return a request that asks for the same capabilities as a recorded one.

    None when a model was only loaded, and for images: what a model sees no host checks.
    """
    body: Any = one.request.get("body")
    if not isinstance(body, dict) or (one.name.partition("/")[0], body.get("model")) not in PROFILES:
        return None
    match one.request["path"]:
        case "/api/chat" if body.get("messages") and "images" not in body["messages"][0]:
            return TOOLS if body.get("tools") else CHAT
        case "/api/generate" if body.get("prompt") and "images" not in body:
            return replace(GENERATE, suffix=body.get("suffix", ""))
        case "/api/embed" if body.get("input"):
            return EMBED
    return None


def lacked(one: Recording) -> str | None:
    """Return the capability for whose lack a host refused."""
    if one.name in LEFT_TO_THE_HOST or not (found := REFUSED.search(one.body.decode())):
        return None
    return LACKING.get(found[1], found[1])


ASKED = {
    one.name: (one, request)
    for path in ("/api/chat", "/api/generate", "/api/embed")
    for one in recordings(path)
    if (request := asked(one)) is not None
}


@pytest.mark.parametrize("name", ASKED)
def test_a_request_is_refused_just_where_the_host_would(name: str) -> None:
    one, request = ASKED[name]
    folder, lacks = name.partition("/")[0], lacked(one)
    with pytest.raises(LacksCapability) if lacks else nullcontext() as caught:
        fit(request, PROFILES[folder, one.request["body"]["model"]], NEW if folder == "0.33" else OLD)
    assert caught is None or caught.value.capability == lacks


def test_hosts_refused_everything_that_is_held_against_them() -> None:
    assert {lacked(one) for one, _ in ASKED.values()} == {None, "tools", "insert", "completion", "embedding"}


@pytest.mark.parametrize(
    ("profile", "can"),
    [
        (None, False),
        (Profile(), False),
        (Profile(capabilities=ALL), True),
        (Profile(capabilities=ALL - {"thinking"}), False),
    ],
)
def test_whether_a_model_is_known_to_think(profile: Profile | None, can: bool) -> None:
    assert can_think(profile) is can


@pytest.mark.parametrize(
    ("request_", "needed"),
    [
        (CHAT, False),
        (replace(CHAT, stop=("x",)), False),
        (replace(CHAT, think=True), False),
        (IMAGE, True),
        (EMBED, False),
        (replace(EMBED, dimensions=8), True),
    ],
)
def test_what_cannot_be_sent_without_a_profile(request_: Request, needed: bool) -> None:
    assert must_know(request_) is needed
