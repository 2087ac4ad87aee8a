"""Log lines: one event each, with fields; JSON for machines, text for a terminal. Prompts and answers never appear.

A request writes a line, so a line must be cheap: it goes straight to the stream, past the machinery of `logging`. What
libraries log through `logging` comes out in the same form.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from time import time
from typing import Any, BinaryIO, Literal

import msgspec
from msgspec import Struct

Level = Literal["info", "warning", "error"]

_encoder = msgspec.json.Encoder(enc_hook=str)


class Line(Struct, omit_defaults=True, kw_only=True):
    """A line whose fields are known beforehand, which is cheaper to write. Fields that have their default are left out.

    Attributes:
        time: When it happened; see `now`.
        level: How much it matters.
        event: What happened, in a few fixed words.
    """

    time: str
    level: Level
    event: str


_second: tuple[int, str] = (0, "")
"""The last second that was written down, and how; busy gateways write many lines in each."""


def now() -> str:
    """Return the time as lines have it."""
    global _second
    moment = time()
    second = int(moment)
    if second != _second[0]:
        _second = second, datetime.fromtimestamp(second, UTC).isoformat()[:19]
    return f"{_second[1]}.{int(1000 * (moment - second)):03d}+00:00"


def log(event: str, level: Level = "info", *, exception: BaseException | None = None, **fields: Any) -> None:
    """Write one line.

    Args:
        event: What happened, in a few fixed words.
        level: How much it matters.
        exception: What was raised; its traceback belongs to the line.
        fields: What is known about the event; None is left out.
    """
    said = {name: value for name, value in fields.items() if value is not None}
    if exception is not None:
        said["traceback"] = "".join(traceback.format_exception(exception))
    write({"time": now(), "level": level, "event": event, **said})


def write(line: Line | dict[str, Any]) -> None:
    """Write one line that has its time, level and event."""
    _write(line)


def set_up(form: Literal["auto", "json", "text"], stream: BinaryIO | None = None) -> None:
    """Send every line of this process, libraries' included, to a stream (standard error by default) in one form."""
    global _write
    stream = stream or sys.stderr.buffer
    render = _text if form == "text" or (form == "auto" and stream.isatty()) else _json

    def write_to_stream(line: Line | dict[str, Any]) -> None:
        # A full disk or a closed pipe must not stop what the line is about, and there is no other place to say so.
        with contextlib.suppress(OSError, ValueError):
            stream.write(render(line))
            stream.flush()

    _write = write_to_stream
    logging.basicConfig(handlers=[_Libraries()], level=logging.WARNING, force=True)


def _nowhere(line: Line | dict[str, Any]) -> None:
    """Until it is set up, a log has no place to go: the gateway may be a part of somebody's test."""


_write: Callable[[Line | dict[str, Any]], None] = _nowhere


class _Libraries(logging.Handler):
    """Takes what libraries log."""

    def emit(self, record: logging.LogRecord) -> None:
        level: Level = (
            "error" if record.levelno >= logging.ERROR else "warning" if record.levelno >= logging.WARNING else "info"
        )
        exception = record.exc_info[1] if record.exc_info else None
        log(record.getMessage(), level, exception=exception, logger=record.name)


def _json(line: Line | dict[str, Any]) -> bytes:
    try:
        return _encoder.encode(line) + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair, which a caller can write in JSON and UTF-8 cannot carry
        return _encoder.encode({name: printable(str(value)) for name, value in _fields(line).items()}) + b"\n"


def _text(line: Line | dict[str, Any]) -> bytes:
    fields = _fields(line)
    time, level, event = fields.pop("time"), fields.pop("level"), fields.pop("event")
    trace: str = fields.pop("traceback", "")
    words = " ".join(f"{name}={_word(value)}" for name, value in fields.items())
    shown = "" if level == "info" else f"{level.upper()} "
    local = datetime.fromisoformat(time).astimezone().strftime("%H:%M:%S")
    said = f"{local} {shown}{printable(event)} {words}".rstrip()
    return said.encode() + b"\n" + trace.encode(errors="backslashreplace")


def _fields(line: Line | dict[str, Any]) -> dict[str, Any]:
    if isinstance(line, dict):
        return dict(line)
    defaults = zip(reversed(line.__struct_fields__), reversed(line.__struct_defaults__), strict=False)
    left_out = {name for name, default in defaults if getattr(line, name) == default}
    return {name: getattr(line, name) for name in line.__struct_fields__ if name not in left_out}


def _word(value: object) -> str:
    """Return a value on one line, in quotes where it could be taken for more than one word."""
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    plain = text.isprintable()
    return text if plain and text and not set(text) & set(' "=\\') else json.dumps(text, ensure_ascii=not plain)


def printable(text: str) -> str:
    """Escape what could forge a line or move a terminal's cursor."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
