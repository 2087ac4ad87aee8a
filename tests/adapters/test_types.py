from __future__ import annotations

import pytest
from msgspec import Struct

from adapters import types
from adapters.types import Call, ChatRequest, Delta, Finish, Message, Usage

VALUES = [value for value in vars(types).values() if isinstance(value, type) and issubclass(value, Struct)]


@pytest.mark.parametrize("value", [kind for kind in VALUES if kind is not Struct], ids=lambda kind: kind.__name__)
def test_every_value_is_frozen(value: type[Struct]) -> None:
    assert value.__struct_config__.frozen


def test_what_was_not_said_is_none_or_empty() -> None:
    request = ChatRequest(model="m", messages=(Message(role="user"),))
    said = {name for name in request.__struct_fields__ if getattr(request, name) not in (None, (), {}, "", False)}
    assert said == {"model", "messages", "n", "tool_choice", "parallel_tool_calls"}
    assert (request.n, request.tool_choice, request.parallel_tool_calls) == (1, "auto", True)


def test_equal_values_are_equal() -> None:
    assert Delta(text="a") == Delta(text="a") != Delta(thinking="a")
    assert Finish(reason="stop", usage=Usage(prompt=1)) == Finish(reason="stop", usage=Usage(prompt=1))
    assert Call(method="GET", target="/") != Call(method="GET", target="/x")
