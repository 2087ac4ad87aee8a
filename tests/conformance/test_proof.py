from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from tests.conformance.proof import prove
from tests.conformance.rows import CHAT, DELETE_MODEL, MODELS, NOT_NAMED, Endpoint, Row, Verdict
from tests.e2e.wire import Answer


def answer(
    asked: Any, *, status: int = 200, ignored: str = "", param: str | None = None, to: Endpoint = CHAT
) -> Answer:
    method, path = to.replace("{model}", "team/chat:v1").split(" ")
    headers = {"content-type": "application/json", **({"x-gateway-ignored": ignored} if ignored else {})}
    found = Answer(
        httpx2.Request(method, f"http://gateway{path}", json=asked), httpx2.Response(status, headers=headers)
    )
    found.body = json.dumps({"error": {"param": param}} if status != 200 else {}).encode()
    return found


def holds(parameter: str, verdict: Verdict, found: Answer, remark: str = "", endpoint: Endpoint = CHAT) -> bool:
    try:
        prove(Row(endpoint, parameter, verdict, remark), [answer({}), found])
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize(
    ("parameter", "found", "verdicts"),
    [
        ("seed", answer({"seed": 1}), {"honoured", "emulated"}),
        ("seed", answer({"seed": 1}, ignored="store, seed"), {"accepted without effect"}),
        ("seed", answer({"seed": 1}, status=400, param="seed"), {"refused"}),
        ("seed", answer({"seed": 1}, status=400, param="store"), set()),
        ("seed", answer({"seed": 1}, status=500, param="seed"), set()),
        ("seed", answer({"seed": None}), set()),
        ("seed", answer({"store": True}), set()),
        ("tool_choice: none", answer({"tool_choice": "none"}), {"honoured", "emulated"}),
        ("tool_choice: none", answer({"tool_choice": "auto"}), set()),
        ("a[].b", answer({"a": [{}, {"b": 1}]}), {"honoured", "emulated"}),
        ("a[].b", answer({"a": [{}, {"b": 1}]}, ignored="a"), {"accepted without effect"}),
        ("a[].b", answer({"a": [{}, {"b": 1}]}, ignored="ab"), {"honoured", "emulated"}),
        ("a[].b", answer({"a": [{}, {"b": 1}]}, status=400, param="a[1].b"), {"refused"}),
        ("a[].b", answer({"a": "text"}), set()),
        ("a[][]", answer({"a": [[1], [2]]}, status=400, param="a"), {"refused"}),
        (
            "tools[].custom",
            answer({"tools": [{"type": "custom", "custom": {}}]}, status=400, param="tools[0].type"),
            {"refused"},
        ),
    ],
)
def test_a_verdict_holds_only_for_what_went_over_the_wire(parameter, found, verdicts):
    every: tuple[Verdict, ...] = ("honoured", "emulated", "refused", "accepted without effect")

    assert {verdict for verdict in every if holds(parameter, verdict, found)} == verdicts


def test_a_field_that_is_not_named_must_not_be_named():
    asked = {"seed": 1}

    assert holds("seed", "accepted without effect", answer(asked), remark=NOT_NAMED)
    assert not holds("seed", "accepted without effect", answer(asked, ignored="seed"), remark=NOT_NAMED)


def test_a_parameter_may_stand_in_the_path():
    gone = answer(None, status=403, param="model", to=DELETE_MODEL)

    assert holds("model", "refused", gone, endpoint=DELETE_MODEL)
    assert not holds("", "honoured", gone, endpoint=MODELS)
    assert holds("", "honoured", answer(None, to=MODELS), endpoint=MODELS)
