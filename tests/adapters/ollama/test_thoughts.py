"""Thoughts in a text, told from what is said, wherever the text is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ollama.thoughts import SaidTokens, ThoughtSplitter
from adapters.types import TokenLogprob


def split(*pieces: str) -> tuple[str, str]:
    """Return the thinking and the text of a stream."""
    splitter = ThoughtSplitter()
    parts = [*(splitter.split(piece) for piece in pieces), splitter.split("", last=True)]
    return "".join(thinking for thinking, _ in parts), "".join(text for _, text in parts)


STREAMS = {
    "<think>\nhm.\n</think>\n\nHi!": ("hm.\n", "Hi!"),
    "<think>hm</think>Hi": ("hm", "Hi"),
    " \n<think> \nhm</think> Hi ": ("hm", "Hi "),
    "<think>\n\n</think>\n\nHi": ("", "Hi"),
    "<think>hm": ("hm", ""),
    "<think>hm</thi": ("hm</thi", ""),
    "<think>a </thin> b < c </b</think>Hi": ("a </thin> b < c </b", "Hi"),
    "<think>hm</think>": ("hm", ""),
    "<think>hm</think>  ": ("hm", ""),
    "<think>": ("", ""),
    "<think>a</think>b<think>c</think>d": ("a", "b<think>c</think>d"),
    "<think>a<think>b</think>c": ("a<think>b", "c"),
    "Hi": ("", "Hi"),
    " Hi": ("", " Hi"),
    "Hi <think>hm</think>": ("", "Hi <think>hm</think>"),
    "<thin": ("", "<thin"),
    " <": ("", " <"),
    "<b>Hi</b>": ("", "<b>Hi</b>"),
    "<thinking>Hi": ("", "<thinking>Hi"),
    "Hm.</think>Hi": ("", "Hm.</think>Hi"),
    "": ("", ""),
    " \n": ("", " \n"),
}


@pytest.mark.parametrize(("stream", "told"), STREAMS.items())
def test_a_stream_is_split_wherever_it_is_cut(stream: str, told: tuple[str, str]) -> None:
    assert split(*stream) == told
    for place in range(len(stream)):
        assert split(stream[:place], stream[place:]) == told


@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "</", "think", ">", " ", "\n", "a", "é"]), max_size=12))
def test_a_stream_is_the_same_letter_by_letter_and_by_pieces(pieces: list[str]) -> None:
    assert split(*pieces) == split(*"".join(pieces))


@given(st.text(alphabet="<>/ think\na", max_size=40))
def test_what_does_not_begin_with_a_thought_stays_as_it_is(text: str) -> None:
    if not text.lstrip().startswith("<think>"):
        assert split(*text) == ("", text)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("<think>\nhm.\n</think>\n\nHi!", ("hm.\n", "Hi!")),
        ("Hm.\n</think>\n\nHi!", ("Hm.\n", "Hi!")),
        ("\nHm.</think>", ("Hm.", "")),
        ("</think>Hi", ("", "Hi")),
        ("<think>hm", ("hm", "")),
        ("Hi", ("", "Hi")),
        ("<thi", ("", "<thi")),
    ],
)
def test_an_answer_in_one_piece_may_begin_within_a_thought(answer: str, told: tuple[str, str]) -> None:
    assert ThoughtSplitter().split(answer, last=True) == told


def test_it_is_done_as_soon_as_something_is_said() -> None:
    splitter = ThoughtSplitter()
    done = []
    for piece in ("<think>", "hm", "</think>", "\n", "Hi"):
        splitter.split(piece)
        done.append(splitter.done)
    assert done == [False, False, False, False, True]


# --- tokens -----------------------------------------------------------------------------------------------------------


def token(text: str) -> TokenLogprob:
    return TokenLogprob(token=text, logprob=-1.0)


def kept(*steps: tuple[list[str], str, str]) -> list[list[str]]:
    """Return the tokens that are kept at each step, and at the end; a step has tokens, thinking and text."""
    said = SaidTokens()
    found = [said.add(tuple(map(token, tokens)), thinking, text) for tokens, thinking, text in steps]
    return [[token.token for token in tokens] for tokens in (*found, said.close())]


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        pytest.param([(["a"], "", "a"), (["b"], "", "b")], [["a"], ["b"], []], id="plain text"),
        pytest.param([(["<"], "", ""), (["b"], "", "<b")], [[], ["<", "b"], []], id="held back and said"),
        pytest.param([(["a"], "", "a"), (["STOP"], "", "")], [["a"], [], ["STOP"]], id="a stop text at the end"),
        pytest.param(
            [(["<think>"], "", ""), (["hm"], "hm", ""), (["</think>"], "", ""), (["Hi"], "", "Hi"), (["!"], "", "!")],
            [[], [], [], ["Hi"], ["!"], []],
            id="a thought in a stream",
        ),
        pytest.param([(["hm"], "hm", ""), ([">\n\nHi"], "", "Hi")], [[], [">\n\nHi"], []], id="a token of both"),
        pytest.param(
            [(["<think>", "Hi", "</think>", "\n", "Hi", "!"], "Hi", "Hi!")], [["Hi", "!"], []], id="in one piece"
        ),
        pytest.param(
            [(["hm", "</think>", "Hi", "STOP"], "hm", "Hi")], [["Hi", "STOP"], []], id="in one piece, with a stop text"
        ),
        pytest.param(
            [(["hm", "</think>", "a", "\ufffd", "\ufffd"], "hm", "aé")],
            [["\ufffd", "\ufffd"], []],
            id="a character of several tokens hides a token at most",
        ),
        pytest.param([(["<think>", "hm"], "hm", ""), (["</think>"], "", "")], [[], [], []], id="nothing but a thought"),
        pytest.param([([], "hm", "Hi"), ([], "", "!")], [[], [], []], id="no tokens"),
    ],
)
def test_only_the_tokens_of_what_is_said_are_kept(
    steps: list[tuple[list[str], str, str]], found: list[list[str]]
) -> None:
    assert kept(*steps) == found
