from __future__ import annotations

import pytest

from tests.conformance.clients import page, proof
from tests.conformance.clients.proof import Called, prove
from tests.conformance.clients.uses import JAVASCRIPT, LANGCHAIN, PYTHON, Use

ROWS = {
    Use(PYTHON, "chat", "model", "sync"): {"tests/native/test_it.py::test_a"},
    Use(PYTHON, "chat", "model", "async, streamed"): {"tests/native/test_it.py::test_a"},
    Use(PYTHON, "list", "", "async", "of all hosts"): {"tests/native/test_it.py::test_b"},
    Use(JAVASCRIPT, "abort", "", "async"): {"tests/interop/test_it.py::test_c"},
    Use(LANGCHAIN, "ChatOllama.bind_tools", "tool_choice", "sync", "has no effect"): {
        "tests/interop/test_it.py::test_d"
    },
}


def test_what_is_read_of_a_page_is_what_was_written():
    assert page.read(page.render(ROWS)) == list(ROWS)


def test_the_ways_of_a_parameter_stand_in_one_line():
    lines = [line for line in page.render(ROWS).splitlines() if line.startswith("| `chat`")]

    assert lines == ["| `chat` | `model` | sync | async |  | [`test_a`](../tests/native/test_it.py) |"]


@pytest.mark.parametrize(
    ("called", "holds"),
    [
        (Called(PYTHON, "chat", frozenset({"model", "tools"}), "sync"), True),
        (Called(PYTHON, "chat", frozenset({"model"}), "sync"), False),
        (Called(PYTHON, "chat", frozenset({"tools"}), "async"), False),
        (Called(PYTHON, "generate", frozenset({"tools"}), "sync"), False),
        (Called(JAVASCRIPT, "chat", frozenset({"tools"}), "sync"), False),
    ],
)
def test_a_row_holds_only_for_what_was_called(monkeypatch, called, holds):
    monkeypatch.setattr(proof, "SEEN", [called])
    try:
        prove(Use(PYTHON, "chat", "tools: some", "sync"))
    except AssertionError:
        assert not holds
    else:
        assert holds
