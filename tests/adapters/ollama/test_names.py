from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ollama.names import canonical
from tests.adapters.ollama.recorded import recording

DEFAULT_HOST = "registry.ollama.ai"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x", "x:latest"),
        ("x:latest", "x:latest"),
        ("X:Latest", "x:latest"),
        (" x ", "x:latest"),
        ("x:8B-Q4_K_M", "x:8b-q4_k_m"),
        ("library/x", "x:latest"),
        (f"{DEFAULT_HOST}/library/x:8b", "x:8b"),
        (f"https://{DEFAULT_HOST}/library/x", "x:latest"),
        (f"{DEFAULT_HOST}/me/x", "me/x:latest"),
        ("me/x:8b", "me/x:8b"),
        ("hf.co/Me/X-GGUF:Q4_K_M", "hf.co/me/x-gguf:q4_k_m"),
        ("localhost:5000/me/x", "localhost:5000/me/x:latest"),
        ("localhost:5000/library/x:1", "localhost:5000/library/x:1"),
        ("library/library/x", "library/library/x:latest"),
        ("x:local", "x:latest"),
        ("x:8b:local", "x:8b"),
        ("x:cloud", "x:cloud"),
        ("x:20b:cloud", "x:20b-cloud"),
        ("x:20b-cloud", "x:20b-cloud"),
        ("", ":latest"),
    ],
)
def test_the_one_spelling(name: str, expected: str) -> None:
    assert canonical(name) == expected


@pytest.mark.parametrize("version", ["0.24", "0.33"])
@pytest.mark.parametrize("chat", ["chat-model-uppercase", "chat-model-with-tag", "chat-stream"])
def test_names_that_a_real_host_took_for_one_are_one(version: str, chat: str) -> None:
    assert canonical(recording(f"{version}/{chat}").request["body"]["model"]) == "tiny-chat:latest"


PARTS = st.sampled_from(["", "x", "library", DEFAULT_HOST, "a:1", "local", "cloud", "8b", "hf.co", "X"])


@given(
    st.lists(st.tuples(PARTS, st.sampled_from(["/", ":", "://", "-"])), max_size=6).map(
        lambda p: "".join(map("".join, p))
    )
)
def test_the_one_spelling_of_a_spelling_is_itself(name: str) -> None:
    assert canonical(canonical(name)) == canonical(name)


@given(st.text(alphabet=string.printable))
def test_case_does_not_matter(name: str) -> None:
    assert canonical(name.upper()) == canonical(name.lower())


@given(st.text())
def test_any_text_is_taken(name: str) -> None:
    assert ":" in canonical(name)
