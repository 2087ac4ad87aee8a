"""What only Ollama has, through the SDK's `extra_body`: nothing of it is lost, and nothing is invented."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.options import KNOWN, RETIRED
from tests.conformance.rows import CHAT, shows
from tests.e2e.calling import Caller
from tests.e2e.cast import SAID
from tests.e2e.conftest import Ask, Host

pytestmark = pytest.mark.asyncio(loop_scope="package")

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

EXTENSIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "options": (
        {"options": {"num_ctx": 8192, "top_k": 40, "min_p": 0.05, "num_gpu": 99, "use_mmap": False}},
        {"options": {"num_ctx": 8192, "top_k": 40, "min_p": 0.05, "num_gpu": 99, "use_mmap": False}},
    ),
    "an option at top level": (
        {"num_ctx": 4096, "repeat_penalty": 1.1},
        {"options": {"num_ctx": 4096, "repeat_penalty": 1.1}},
    ),
    "within ollama": ({"ollama": {"options": {"top_k": 5}, "num_ctx": 512}}, {"options": {"num_ctx": 512, "top_k": 5}}),
    "keep_alive as a duration": ({"keep_alive": "30m"}, {"keep_alive": "30m"}),
    "keep_alive in seconds": ({"keep_alive": 90}, {"keep_alive": 90}),
    "keep_alive for ever": ({"keep_alive": -1}, {"keep_alive": -1}),
    "think": ({"think": False}, {"think": False}),
    "format as JSON": ({"format": "json"}, {"format": "json"}),
    "format as a schema": ({"format": SCHEMA}, {"format": SCHEMA}),
    "truncate": ({"truncate": True}, {"truncate": True}),
    "shift": ({"shift": False}, {"shift": False}),
}

PLACES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the later place counts": (
        {"top_k": 1, "options": {"top_k": 2, "top_p": 0.5}, "ollama": {"options": {"top_k": 3}}},
        {"options": {"top_k": 3, "top_p": 0.5}},
    ),
    "null says nothing": ({"num_ctx": None, "options": {"top_k": None}, "keep_alive": None, "think": None}, {}),
    "unknown options go through": ({"options": {"a_new_option": 1}}, {"options": {"a_new_option": 1}}),
    "retired options do not": ({"options": {"typical_p": 1.0, "mirostat": 0}, "tfs_z": 1}, {}),
}


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        *(
            pytest.param(said, sent, id=name, marks=shows(CHAT, "honoured", *said))
            for name, (said, sent) in EXTENSIONS.items()
        ),
        *(pytest.param(said, sent, id=name) for name, (said, sent) in PLACES.items()),
    ],
)
async def test_an_extension_reaches_the_host_as_it_was_said(ask: Ask, host: Host, said: Any, sent: Any) -> None:
    await ask("chat", extra_body=said)

    [chat] = host.chats
    expected = {"truncate": False, **sent}
    assert {name: value for name, value in chat.items() if name not in ("model", "messages", "stream")} == expected


VALUES: dict[str, Any] = {"integer": 4096, "number": 0.5, "boolean": False}


@pytest.mark.parametrize(
    ("option", "value"),
    [pytest.param(name, VALUES[kind], marks=shows(CHAT, "honoured", name)) for name, kind in KNOWN.items()],
)
async def test_every_option_of_ollama_may_stand_at_top_level(ask: Ask, host: Host, option: str, value: Any) -> None:
    await ask("chat", extra_body={option: value})

    assert host.chats[0]["options"] == {option: value}


@shows(CHAT, "honoured", "options.stop")
async def test_stop_texts_among_the_options_are_as_many_as_the_caller_likes(ask: Ask) -> None:
    completion = await ask("chat", "long", extra_body={"options": {"stop": ["a", "b", "c", "d", "e", " 7"]}})

    assert completion.choices[0].message.content == "Counting: 1 2 3 4 5 6"


@pytest.mark.parametrize(
    "option",
    [pytest.param(name, marks=shows(CHAT, "accepted without effect", name)) for name in sorted(RETIRED)],
)
async def test_an_option_that_ollama_no_longer_has_is_not_sent(ask: Ask, host: Host, option: str) -> None:
    await ask("chat", extra_body={option: 1})

    assert "options" not in host.chats[0]


async def test_an_option_comes_before_openais_own_field(ask: Ask, host: Host) -> None:
    await ask("chat", temperature=1.5, max_tokens=9, extra_body={"options": {"temperature": 0.1}})

    assert host.chats[0]["options"] == {"temperature": 0.1, "num_predict": 9}


async def test_what_has_no_effect_is_named(ask: Ask, caller: Caller) -> None:
    extra = {"foo": 1, "options": {"num_ctxx": 5, "mirostat": 1, "top_k": 3}}
    await ask("chat", verbosity="low", store=True, extra_body=extra)

    ignored = caller.answers[0].headers["x-gateway-ignored"].split(", ")
    assert sorted(ignored) == ["foo", "options.mirostat", "options.num_ctxx", "store", "verbosity"]


@shows(CHAT, "honoured", "keep_alive")
async def test_a_model_is_loaded_as_the_caller_wants_it_and_unloaded(ask: Ask, host: Host) -> None:
    await ask("chat", extra_body={"num_ctx": 1024, "keep_alive": "1h"})
    resident = [name for name in host.simulator.resident if name == host.model("chat")]
    await ask("chat", extra_body={"num_ctx": 1024, "keep_alive": 0})
    await host.simulator.wait_idle()

    assert resident == [host.model("chat")]
    assert host.model("chat") not in host.simulator.resident


@shows(CHAT, "honoured", "truncate")
async def test_a_prompt_that_does_not_fit_is_cut_when_the_caller_says_so(ask: Ask, host: Host) -> None:
    conversation = [
        {"role": "user", "content": "word " * 100},
        {"role": "assistant", "content": "I see."},
        {"role": "user", "content": "hi"},
    ]
    completion = await ask("chat", conversation, extra_body={"num_ctx": 200, "truncate": True})

    assert completion.choices[0].message.content == SAID
    assert completion.usage is not None
    assert completion.usage.prompt_tokens <= 200


@shows(CHAT, "honoured", "_debug_render_only")
async def test_the_prompt_that_a_request_makes(ask: Ask, caller: Caller) -> None:
    await ask("chat", "hi there", extra_body={"_debug_render_only": True})

    assert "hi there" in caller.answers[0].data[-1]["ollama"]["_debug_info"]["rendered_template"]
