"""Fields that no host is asked for: those without effect, of which the caller is told, and those for the log."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.rows import CHAT, NOT_NAMED, shows
from tests.e2e.calling import Caller, said
from tests.e2e.conftest import Ask, Host
from tests.running import eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")

WITHOUT_EFFECT: list[tuple[str, Any]] = [
    ("moderation", {"model": "omni-moderation-latest"}),
    ("prediction", {"type": "content", "content": "Hello."}),
    ("prompt_cache_key", "me"),
    ("prompt_cache_options", {"mode": "explicit"}),
    ("prompt_cache_retention", "24h"),
    ("service_tier", "flex"),
    ("service_tier", "scale"),
    ("service_tier", "priority"),
    ("service_tier", "fast"),
    ("store", True),
    ("verbosity", "low"),
]


def _row(field: str, value: Any) -> str:
    return f"{field}: {value}" if field == "service_tier" else field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param(field, value, marks=shows(CHAT, "accepted without effect", _row(field, value)))
        for field, value in WITHOUT_EFFECT
    ],
)
async def test_a_wish_that_cannot_be_granted_and_does_no_harm(
    ask: Ask, host: Host, caller: Caller, field: str, value: Any
) -> None:
    await ask("chat")
    await ask("chat", **{field: value})

    assert caller.answers[1].headers["x-gateway-ignored"] == field
    assert host.chats[0] == host.chats[1]


@shows(CHAT, "accepted without effect", "stream_options.include_obfuscation")
async def test_a_stream_is_not_padded(caller: Caller, host: Host) -> None:
    asked: Any = {"model": host.model("chat"), "messages": said("hi"), "stream": True}
    async with await caller.client.chat.completions.create(
        **asked, stream_options={"include_obfuscation": True}
    ) as stream:
        chunks = [chunk async for chunk in stream]

    assert caller.answers[0].headers["x-gateway-ignored"] == "stream_options.include_obfuscation"
    assert not any("obfuscation" in (chunk.model_extra or {}) for chunk in chunks)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"logit_bias": {}}, marks=shows(CHAT, "honoured", "logit_bias", remark="when it is empty")),
        pytest.param({"modalities": ["text"]}, marks=shows(CHAT, "honoured", "modalities[]: text")),
        pytest.param({"service_tier": "auto"}, marks=shows(CHAT, "honoured", "service_tier: auto")),
        pytest.param({"service_tier": "default"}, marks=shows(CHAT, "honoured", "service_tier: default")),
        {"store": False},
        {"tools": [], "parallel_tool_calls": True, "tool_choice": "auto"},
    ],
)
async def test_what_is_so_anyway_has_all_the_effect_that_it_can(
    ask: Ask, host: Host, caller: Caller, fields: dict[str, Any]
) -> None:
    await ask("chat")
    await ask("chat", **fields)

    assert "x-gateway-ignored" not in caller.answers[1].headers
    assert host.chats[0] == host.chats[1]


@shows(CHAT, "accepted without effect", "response_format.json_schema.name", remark=f"a form needs one; {NOT_NAMED}")
@shows(CHAT, "accepted without effect", "response_format.json_schema.description")
async def test_the_name_of_a_form_is_not_sent(ask: Ask, host: Host) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    form = {"name": "town", "description": "A town.", "schema": schema}
    await ask("chat", "json", response_format={"type": "json_schema", "json_schema": form})

    assert host.chats[0]["format"] == schema


@pytest.mark.parametrize(
    "field",
    [
        pytest.param(name, marks=shows(CHAT, "honoured", name, remark="goes to the log"))
        for name in ("user", "safety_identifier")
    ],
)
async def test_who_asks_stands_in_the_log(ask: Ask, monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    lines: list[Any] = []
    monkeypatch.setattr("gateway.log._write", lines.append)
    await ask("chat", **{field: "ada"})

    await eventually(lambda: lines)
    [line] = lines
    assert line.user == "ada"
