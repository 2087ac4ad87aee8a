from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest

from gateway.log import log, set_up


class Lines(io.BytesIO):
    """A stream that can be read as text."""

    def text(self) -> str:
        return self.getvalue().decode()


@pytest.fixture
def lines(monkeypatch):
    monkeypatch.setattr("gateway.log._write", None)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = Lines()

    def lines(form: Any) -> Lines:
        set_up(form, stream)
        return stream

    yield lines
    root.handlers[:], level = before
    root.setLevel(level)
    monkeypatch.undo()


def test_json_has_one_object_a_line(lines):
    stream = lines("json")

    log("request", status=200, model="m", missing=None, said="a\nb", error=ValueError("no"))

    line = json.loads(stream.text())
    assert stream.text().count("\n") == 1
    assert list(line) == ["time", "level", "event", "status", "model", "said", "error"]
    assert (line["level"], line["event"], line["said"], line["error"]) == ("info", "request", "a\nb", "no")


def test_text_cannot_be_made_to_forge_a_line_or_move_a_cursor(lines):
    stream = lines("text")

    log("request", level="warning", path="/v1\n12:00:00 forged", model="\x1b[2Jm", empty="", user='x" status=500 a="b')

    text = stream.text()
    assert text.count("\n") == 1
    assert "\x1b" not in text
    assert text.split(" ", 1)[1] == (
        'WARNING request path="/v1\\n12:00:00 forged" model="\\u001b[2Jm" empty="" user="x\\" status=500 a=\\"b"\n'
    )


def test_names_stand_in_text_with_commas_between_them(lines):
    stream = lines("text")

    log("serving", hosts=["gpu-1", "gpu-2"], done=("gpu-1",), down=())

    assert stream.text().endswith(' serving hosts=gpu-1,gpu-2 done=gpu-1 down=""\n')


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_traceback_goes_with_its_line(lines, form):
    stream = lines(form)

    try:
        raise KeyError("boom")
    except KeyError as error:
        log("defect", exception=error)

    assert "KeyError: 'boom'" in stream.text()


def test_what_utf8_cannot_carry_is_escaped(lines):
    stream = lines("json")

    log("request", user="half a pair: \ud800")

    assert json.loads(stream.text())["user"] == "half a pair: \\ud800"


def test_auto_is_json_where_nobody_looks(lines):
    stream = lines("auto")

    log("x")

    assert json.loads(stream.text())["event"] == "x"


def test_libraries_log_in_the_same_form(lines):
    stream = lines("json")

    logging.getLogger("uvicorn.error").warning("a %s", "warning")

    assert json.loads(stream.text())["event"] == "a warning"


def test_a_log_that_cannot_be_written_stops_nothing(lines):
    stream = lines("json")
    stream.close()

    log("request")
