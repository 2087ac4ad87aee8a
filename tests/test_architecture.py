"""What lint and import contracts do not say about the shape of the code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path for package in ("adapters", "gateway", "benchmarks", "tests") for path in (ROOT / package).rglob("*.py")
)
SOURCE = [path for path in FILES if path.relative_to(ROOT).parts[0] in {"adapters", "gateway"}]
WAITING = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
BANNED = {"utils", "helper", "helpers", "common", "manager", "handler", "handlers", "service", "provider"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCE, ids=name)
def test_a_file_can_be_held_in_the_head(path):
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", SOURCE, ids=name)
def test_a_function_can_be_held_in_the_head(path):
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]

    assert [f.name for f in functions if (f.end_lineno or 0) - f.lineno >= 60] == []


@pytest.mark.parametrize("path", [path for path in SOURCE if "adapters" in path.parts], ids=name)
def test_adapters_never_wait(path):
    assert [node.lineno for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, WAITING)] == []


def test_no_file_is_named_for_everything():
    assert [name(path) for path in FILES if path.stem in BANNED] == []


def test_nothing_is_left_unfinished():
    marks = [
        "TO" + "DO",
        "FIX" + "ME",
        "X" + "XX",
        "NotImplemented" + "Error",
        "pytest.mark." + "skip",
        "pytest.mark." + "xfail",
    ]

    assert [(name(path), mark) for path in FILES for mark in marks if mark in path.read_text()] == []
