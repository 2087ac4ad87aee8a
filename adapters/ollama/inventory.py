"""What a host says about itself: its version, its models, those in its memory, and the whole of one model.

A host's answers are read strictly: one that does not fit is `HostBroken`. Fields that this gateway does not know are
passed over, so newer hosts do not break it (wire.md 1.10).
"""

from __future__ import annotations

import re
from calendar import timegm
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from adapters.errors import HostBroken
from adapters.types import Call, Model, Profile, Resident, json_call

VERSION = Call(method="GET", target="/api/version")
TAGS = Call(method="GET", target="/api/tags")
PS = Call(method="GET", target="/api/ps")


def show(model: str) -> Call:
    """Return the call that asks for the whole of a model."""
    return json_call("/api/show", msgspec.json.encode({"model": model}))


# --- version ----------------------------------------------------------------------------------------------------------

_DEVELOPMENT = 1_000_000
"""A major version above every release's."""

_NUMBERS = re.compile(r"v?(\d{1,5})\.(\d{1,5})(?:\.(\d{1,5}))?")


class Version(Struct, frozen=True, order=True):
    """A release of Ollama, in the order of releases. What a release candidate brings counts as released.

    Attributes:
        major, minor, patch: The numbers.
        text: How the host spells it; empty when it was not a host that said it.
    """

    major: int
    minor: int
    patch: int = 0
    text: str = ""

    def __str__(self) -> str:
        return self.text or f"{self.major}.{self.minor}.{self.patch}"


def decode_version(body: bytes) -> Version:
    """Return a host's version.

    A build that somebody made from source calls itself `0.0.0`, or has no number at all; it is taken for newer than
    every release.

    Raises:
        HostBroken: The answer makes no sense.
    """
    text = _decode(_VERSION, body).version
    found = _NUMBERS.match(text)
    if found is None or not any(map(int, found.groups("0"))):
        return Version(_DEVELOPMENT, 0, text=text)
    major, minor, patch = map(int, found.groups("0"))
    return Version(major, minor, patch, text)


# --- models -----------------------------------------------------------------------------------------------------------

_MOMENT = re.compile(
    r"(?!0000)(\d{4})-(0[1-9]|1[0-2])-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:Z|([+-])(\d\d):(\d\d))", re.IGNORECASE
)


def decode_tags(body: bytes) -> tuple[Model, ...]:
    """Return the models on a host's disk, named as the host names them, in its order.

    Raises:
        HostBroken: The answer makes no sense.
    """
    return tuple(_model(entry) for entry in _decode(_LIST, body).models or ())


def decode_ps(body: bytes) -> tuple[Resident, ...]:
    """Return the models in a host's memory, named as the host names them.

    Raises:
        HostBroken: The answer makes no sense.
    """
    return tuple(_resident(entry) for entry in _decode(_LIST, body).models or ())


def _model(entry: Raw) -> Model:
    model = _decode(_MODEL, entry)
    return Model(
        name=model.name,
        digest=model.digest,
        size=model.size,
        modified=_seconds(model.modified_at),
        context_length=model.details.context_length,
        entry=entry,
    )


def _resident(entry: Raw) -> Resident:
    model = _decode(_LOADED, entry)
    return Resident(
        name=model.name,
        digest=model.digest,
        size=model.size,
        size_vram=model.size_vram,
        context_length=model.context_length,
        entry=entry,
    )


def _seconds(moment: str) -> int:
    """Return the seconds since the epoch of an RFC 3339 moment; 0 for one before it, and for what is no moment."""
    found = _MOMENT.fullmatch(moment)
    if found is None:
        return 0
    *date, sign, hours, minutes = found.groups()
    offset = 60 * (60 * int(hours) + int(minutes)) if sign else 0
    return max(0, timegm(tuple(map(int, date))) - (offset if sign == "+" else -offset))


# --- one model --------------------------------------------------------------------------------------------------------

_STOP = re.compile(r'^stop\s+"((?:[^"\\]|\\.)*)"\s*$', re.MULTILINE)
_ESCAPE = re.compile(r'\\(?:([abfnrtv"\\])|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))')
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", '"': '"', "\\": "\\"}


def decode_show(body: bytes) -> Profile:
    """Return what a host tells about one model.

    Raises:
        HostBroken: The answer makes no sense.
    """
    shown = _decode(_SHOW, body)
    info = shown.model_info or {}
    return Profile(
        capabilities=frozenset(shown.capabilities or ()),
        stops=tuple(_unquote(found) for found in _STOP.findall(shown.parameters)),
        context_length=_length(info, "context_length"),
        # What a model puts out may be longer or shorter than what it works with.
        embedding_length=_length(info, "embedding_length_out") or _length(info, "embedding_length"),
    )


def _length(info: dict[str, Raw], name: str) -> int | None:
    """Return a length that stands under the name of the model's architecture, as GGUF files have it."""
    architecture = _decode(_TEXT, bytes(info.get("general.architecture", b'""')))
    return _decode(_LENGTH, bytes(info.get(f"{architecture}.{name}", b"null")))


def _unquote(text: str) -> str:
    """Return the text that Go's `strconv.Quote` put between quotes."""
    return _ESCAPE.sub(_unescape, text)


def _unescape(found: re.Match[str]) -> str:
    letter, *numbers = found.groups("")
    if letter:
        return _ESCAPED[letter]
    code = int("".join(numbers), 16)
    return chr(code) if code < 0xD800 or 0xDFFF < code <= 0x10FFFF else "\N{REPLACEMENT CHARACTER}"


# --- what is on the wire ----------------------------------------------------------------------------------------------


class _VersionAnswer(Struct):
    version: str


class _Details(Struct, frozen=True):
    context_length: int | None = None


class _Model(Struct):
    name: str
    digest: str = ""
    size: int = 0
    modified_at: str = ""
    details: _Details = _Details()


class _Loaded(Struct):
    name: str
    digest: str = ""
    size: int = 0
    size_vram: int = 0
    context_length: int = 0


class _ListAnswer(Struct):
    models: list[Raw] | None


class _ShowAnswer(Struct):
    parameters: str = ""
    model_info: dict[str, Raw] | None = None
    capabilities: list[str] | None = None


_VERSION = msgspec.json.Decoder(_VersionAnswer)
_LIST = msgspec.json.Decoder(_ListAnswer)
_MODEL = msgspec.json.Decoder(_Model)
_LOADED = msgspec.json.Decoder(_Loaded)
_SHOW = msgspec.json.Decoder(_ShowAnswer)
_TEXT = msgspec.json.Decoder(str)
_LENGTH: msgspec.json.Decoder[int | None] = msgspec.json.Decoder(int | None)

_Answer = TypeVar("_Answer")


def _decode(decoder: msgspec.json.Decoder[_Answer], body: bytes | Raw) -> _Answer:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HostBroken(
            "A host's answer about itself cannot be read.", detail=f"{error}: {bytes(body)[:200]!r}"
        ) from error
