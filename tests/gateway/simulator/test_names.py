"""The names of models."""

from __future__ import annotations

import pytest

from gateway.simulator import names

NAMES = [
    ("x", "registry.ollama.ai/library/x:latest", "x:latest"),
    ("Qwen3:8B", "registry.ollama.ai/library/Qwen3:8B", "Qwen3:8B"),
    ("me/x", "registry.ollama.ai/me/x:latest", "me/x:latest"),
    ("hf.co/me/x:Q4_K_M", "hf.co/me/x:Q4_K_M", "hf.co/me/x:Q4_K_M"),
    ("127.0.0.1:5000/me/x", "127.0.0.1:5000/me/x:latest", "127.0.0.1:5000/me/x:latest"),
    ("https://host/me/x", "host/me/x:latest", "host/me/x:latest"),
    ("registry.ollama.ai/library/x", "registry.ollama.ai/library/x:latest", "x:latest"),
    (" x ", "registry.ollama.ai/library/x:latest", "x:latest"),
]


@pytest.mark.parametrize(("text", "full", "short"), NAMES)
def test_a_name_is_read_with_its_defaults(text: str, full: str, short: str) -> None:
    name = names.parse(text)
    assert name is not None
    assert (name.full, name.short, name.key) == (full, short, full.lower())


@pytest.mark.parametrize("text", ["", "a/b/c/d", "a b", "x:", ":x", "/x", "x/", "-x", "x:a:b", "n.s/x", "ü", "x" * 81])
def test_a_malformed_name_is_none(text: str) -> None:
    assert names.parse(text) is None


@pytest.mark.parametrize(
    ("text", "cloud"),
    [
        ("x:cloud", True),
        ("x:8b-cloud", True),
        ("x:Cloud", True),
        ("x-cloud", False),
        ("x:8b", False),
        ("h:1/x-cloud", False),
    ],
)
def test_a_name_can_ask_for_the_cloud(text: str, cloud: bool) -> None:
    assert names.is_cloud(text) is cloud
