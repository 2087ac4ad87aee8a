"""A Modelfile, as older clients send it in a create, in today's fields (wire.md 1.11).

Before Ollama 0.5.5 a create had the text of a Modelfile in `modelfile`; today's servers pass that field over. The text
is read as Ollama's own command reads it, down to where a quoted value ends: at the first line that ends with the quote.
It is read less strictly in three respects: words may stand any number of spaces apart, a text may be empty, and
characters that do not print, which some scripts need, are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isfinite
from typing import Any

from msgspec import Struct

from adapters.errors import InvalidRequest
from adapters.ollama.native.body import LONGEST
from adapters.options import KNOWN, RETIRED


class Modelfile(Struct, frozen=True):
    """What a Modelfile says.

    Attributes:
        fields: Today's fields of a create.
        ignored: The parameters that Ollama no longer has, as paths.
    """

    fields: dict[str, Any]
    ignored: tuple[str, ...] = ()


def decode_modelfile(text: str) -> Modelfile:
    """Return what a Modelfile says, in today's fields.

    Raises:
        InvalidRequest: It makes no sense, or names files on the caller's machine. The message tells the line and what
            to do.
    """
    if len(text) > _LARGEST:
        raise _refusal(f"it has more than {_LARGEST} characters; shorten it, or use today's fields")
    fields: dict[str, Any] = {}
    ignored: dict[str, None] = {}
    for command in _commands(text):
        match command.name:
            case "FROM" | "ADAPTER" | "DRAFT":
                _add_source(fields, command)
            case "TEMPLATE" | "SYSTEM" | "RENDERER" | "PARSER":
                fields[command.name.lower()] = command.value
            case "LICENSE":
                fields.setdefault("license", []).append(command.value)
            case "MESSAGE":
                fields.setdefault("messages", []).append(_message(command))
            case "REQUIRES":
                fields["requires"] = _version(command)
            case "PARAMETER" if command.word in RETIRED:
                ignored[f"modelfile.{command.word}"] = None
            case "PARAMETER":
                _add_parameter(fields.setdefault("parameters", {}), command)
            case _:
                raise command.refusal(f"{_shown(command.name)} is no command; use one of {', '.join(_COMMANDS)}")
    if "from" in fields and "files" in fields:
        raise _refusal("it is made from a model and from a file; leave out one of the FROM lines")
    if "from" not in fields and "files" not in fields:
        raise _refusal("no FROM line; say what the model is made from, such as FROM llama3.2")
    return Modelfile(fields, tuple(ignored))


# --- the text ---------------------------------------------------------------------------------------------------------

_LARGEST = 1_000_000
"""How many characters are read: to read 64 million takes many seconds, and no client has written so many."""

_COMMANDS = (
    *("FROM", "TEMPLATE", "SYSTEM", "PARAMETER", "MESSAGE", "LICENSE", "ADAPTER", "DRAFT"),
    *("RENDERER", "PARSER", "REQUIRES"),
)

_COMMAND = re.compile(
    r"""
    (?: \s | \#[^\r\n]* )*+                               # blank lines, and comments, which are lines of their own
    (?: (?P<pair> (?i:PARAMETER|MESSAGE) ) [ \t]+ (?P<word> \S+ ) | (?P<name> \S+ ) )
    [ \t]*
    (?: \"{3} (?P<long>  .*? ) \"{3} [^\S\r\n]* (?=[\r\n]|\Z)
      | (?!\"{3})
        \"    (?P<short> .*? ) \"    [^\S\r\n]* (?=[\r\n]|\Z)
      |       (?P<bare>  [^\r\n]* )
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_BREAK = re.compile(r"\r\n|\r|\n")


class _Command(Struct, frozen=True):
    """One command.

    Attributes:
        line: Where it is, from 1.
        name: Its name, in upper case.
        word: The word before its value: a parameter's name, or who says a message; else empty.
        value: The value, without quotes around it.
    """

    line: int
    name: str
    word: str
    value: str

    def refusal(self, reason: str) -> InvalidRequest:
        return _refusal(reason, self.line)


def _commands(text: str) -> Iterator[_Command]:
    """Yield the commands in order.

    Raises:
        InvalidRequest: A quote is not closed.
    """
    text = text.removeprefix("\ufeff")
    line, seen, end = 1, 0, 0
    while (found := _COMMAND.match(text, end)) is not None:
        begin, end = max(found.start("pair"), found.start("name")), found.end()
        line += len(_BREAK.findall(text, seen, begin))
        seen = begin
        name, bare = (found["pair"] or found["name"]).upper(), (found["bare"] or "").strip()
        command = _Command(line, name, found["word"] or "", found["long"] or found["short"] or bare)
        if bare.startswith('"'):
            quote = '"""' if bare.startswith('"""') else '"'
            raise command.refusal(f"the text of {name} is not closed; end its last line with {quote}")
        yield command


# --- its commands -----------------------------------------------------------------------------------------------------

_FILES = {"FROM": ("files", "model"), "ADAPTER": ("adapters", "adapter"), "DRAFT": ("draft_files", "draft")}
"""The field that the digests of files go into, and what the files are called there."""

_PATH = re.compile(r"[./~\\].*|[a-z]:[/\\].*|[^:]*\.(?:gguf|ggml|bin|safetensors|pth)", re.IGNORECASE | re.DOTALL)
"""What names a file or a folder, and no model. A model's tag may look like a file's name, as on Hugging Face."""

_ROLES = ("system", "user", "assistant")

_VERSION = re.compile(r"v?([0-9]+(?:\.[0-9]+){0,2}(?:[-+][0-9A-Za-z.+-]+)?)")


def _add_source(fields: dict[str, Any], command: _Command) -> None:
    """Add a model, of which the last counts, or a file, of which all do."""
    field, name = _FILES[command.name]
    if not command.value:
        raise command.refusal(f"{command.name} has no value")
    if len(command.value) > LONGEST:
        raise command.refusal(f"{command.name} has more than {LONGEST} characters, which no name has")
    if command.value.startswith("@"):
        files = fields.setdefault(field, {})
        number = f"-{len(files) + 1}" if files else ""
        files[f"{name}{number}.gguf"] = command.value.removeprefix("@")
    elif command.name == "FROM" and not _PATH.fullmatch(command.value):
        fields["from"] = command.value
    else:
        raise command.refusal(
            f"{command.name} names {_shown(command.value)}, a file that only the caller has; "
            f"send it to /api/blobs/sha256:… first, and write {command.name} @sha256:…"
        )


def _message(command: _Command) -> dict[str, str]:
    if command.word not in _ROLES:
        raise command.refusal(f"a message is said by one of {', '.join(_ROLES)}, not by {_shown(command.word)}")
    return {"role": command.word, "content": command.value}


def _version(command: _Command) -> str:
    found = _VERSION.fullmatch(command.value)
    if found is None:
        raise command.refusal(f"REQUIRES must be a version such as 0.14.0, not {_shown(command.value)}")
    return found[1]


# --- parameters -------------------------------------------------------------------------------------------------------

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?", re.IGNORECASE)
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("0", "f", "F", "false", "False", "FALSE"), False),
}
"""The words that Go takes for booleans."""


def _add_parameter(parameters: dict[str, Any], command: _Command) -> None:
    """Add a parameter. The last value counts; `stop` has them all."""
    name = command.word
    if name == "stop":
        parameters.setdefault("stop", []).append(command.value)
    elif name in KNOWN:
        parameters[name] = _value(command)
    else:
        raise command.refusal(f"there is no parameter {_shown(name)}; use one of {', '.join(sorted((*KNOWN, 'stop')))}")


def _value(command: _Command) -> int | float | bool:
    """Return the value of a parameter, in the type of its option."""
    text, kind = command.value, KNOWN[command.word]
    if kind == "integer" and _INTEGER.fullmatch(text) and -(2**63) <= int(text) < 2**63:
        return int(text)
    if kind == "number" and _NUMBER.fullmatch(text) and isfinite(float(text)):
        return float(text)
    if kind == "boolean" and text in _BOOLEANS:
        return _BOOLEANS[text]
    raise command.refusal(f"{command.word} must be {'an' if kind == 'integer' else 'a'} {kind}, not {_shown(text)}")


# --- refusals ---------------------------------------------------------------------------------------------------------

_LONGEST = 60


def _shown(text: str) -> str:
    """Return a text that is at fault, quoted, or as much of it as tells which."""
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def _refusal(reason: str, line: int = 0) -> InvalidRequest:
    return InvalidRequest(f"modelfile{f' line {line}' if line else ''}: {reason}", param="modelfile")
