"""How a pull is told: in place on a terminal, a line for each thing elsewhere."""

from __future__ import annotations

from io import StringIO

import pytest

from adapters.ollama.native.pulling import Step
from gateway.commands.screen import Screen


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")


def layer(completed: int, total: int = 2_000_000_000, name: str = "6a0746a1ec1a") -> Step:
    return Step(status=f"pulling {name}", digest=f"sha256:{name}", total=total, completed=completed)


STEPS = [
    Step(status="pulling manifest"),
    layer(0),
    layer(20_000_000),
    layer(1_999_999_999),
    layer(2_000_000_000),
    layer(342, 342, "aeab123246c6"),
    Step(status="b failed: no space left on device"),
    Step(status="success"),
]


def test_in_a_file_each_thing_is_one_line():
    file = StringIO()
    screen = Screen(file)
    screen.say("before")
    for step in STEPS:
        screen.show("m", step)
    screen.say("after\nit")

    assert file.getvalue() == (
        "before\n"
        "m: pulling manifest\n"
        "m: pulling 6a0746a1ec1a, 2.0 GB\n"
        "m: pulling aeab123246c6, 342 B\n"
        "m: b failed: no space left on device\n"
        "m: success\n"
        "after\n"
        "it\n"
    )


def test_on_a_terminal_the_last_line_changes_in_place():
    terminal = Terminal()
    screen = Screen(terminal)
    for step in STEPS:
        screen.show("m", step)
    screen.say("after")

    assert [line.split("\r") for line in terminal.getvalue().replace("\x1b[K", "").split("\n")] == [
        ["", "m: pulling manifest"],
        [
            "",
            "m: pulling 6a0746a1ec1a,   0 % of 2.0 GB",
            "m: pulling 6a0746a1ec1a,   1 % of 2.0 GB",
            "m: pulling 6a0746a1ec1a,  99 % of 2.0 GB",
            "m: pulling 6a0746a1ec1a, 100 % of 2.0 GB",
        ],
        ["", "m: pulling aeab123246c6, 100 % of 342 B"],
        ["", "m: b failed: no space left on device"],
        ["", "m: success"],
        ["after"],
        [""],
    ]
    assert terminal.getvalue().count("\r") == terminal.getvalue().count("\x1b[K")


def test_two_models_are_told_apart_where_they_do_the_same():
    file = StringIO()
    screen = Screen(file)
    for model in ("m", "m", "n"):
        screen.show(model, STEPS[0])

    assert file.getvalue() == "m: pulling manifest\nn: pulling manifest\n"


def test_a_line_in_place_is_no_longer_than_the_terminal_is_wide():
    terminal = Terminal()
    Screen(terminal).show("m" * 50, layer(1))

    assert terminal.getvalue() == f"\r{'m' * 50}: pulling\x1b[K"


@pytest.mark.parametrize(
    ("completed", "total", "told"),
    [
        (5, 0, ""),
        (5, -1, ""),
        (-1, 1000, ",   0 % of 1.0 kB"),
        (2000, 1000, ", 100 % of 1.0 kB"),
        (500, 999, ",  50 % of 999 B"),
        (1, 123_456_789, ",   0 % of 123 MB"),
        (0, 45_678_901_234, ",   0 % of 45.7 GB"),
        (0, 1 << 50, ",   0 % of 1126 TB"),
    ],
)
def test_what_a_host_says_of_sizes_is_made_sense_of(completed, total, told):
    terminal = Terminal()
    Screen(terminal).show("m", layer(completed, total))

    assert terminal.getvalue() == f"\rm: pulling 6a0746a1ec1a{told}\x1b[K"


@pytest.mark.parametrize("kind", [StringIO, Terminal])
def test_nothing_that_a_host_says_moves_the_cursor(kind):
    stream = kind()
    screen = Screen(stream)
    screen.show("m", Step(status="a\x1b[2Jb\rc\nd"))
    screen.say("e\x07f")

    assert r"m: a\x1b[2Jb\rc\nd" in stream.getvalue()
    assert r"e\x07f" in stream.getvalue()


def test_a_line_in_place_can_be_left_as_it_is():
    terminal = Terminal()
    screen = Screen(terminal)
    screen.end_line()
    screen.show("m", Step(status="pulling manifest"))
    screen.end_line()
    screen.end_line()

    assert terminal.getvalue() == "\rm: pulling manifest\x1b[K\n"
