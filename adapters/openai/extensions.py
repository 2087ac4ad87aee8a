"""What a caller may say beyond OpenAI's fields, so that nothing a local model can do is lost.

Extensions stand at top level, in `options: {…}` or in `ollama: {…}`, which has an `options` of its own. What is said
twice counts as it was said in the later of these places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from adapters.openai.fields import Fields, Ignored, check_depth, check_tokens, not_supported, shown, wrong_type
from adapters.openai.media import read_image_text
from adapters.openai.response_format import decode_format
from adapters.openai.thinking import decode_think
from adapters.options import KNOWN, RETIRED, check_keep_alive, check_option
from adapters.types import KeepAlive, Media, Schema, Think


class Extensions(Struct):
    """What a caller said in extension fields. None, or UNSET where None means something, is: nothing."""

    options: dict[str, Any]
    stop: tuple[str, ...] | None = None
    keep_alive: KeepAlive | None = None
    think: Think | None = None
    format: Literal["json"] | Schema | UnsetType | None = UNSET
    truncate: bool | None = None
    shift: bool | None = None
    render_only: bool = False
    raw: bool | None = None
    template: str | None = None
    system: str | None = None
    context: Raw | None = None
    images: tuple[Media, ...] = ()


def _boolean(value: Any, path: str) -> bool:
    if isinstance(value, bool):
        return value
    raise wrong_type(path, "a boolean", value)


def _text(value: Any, path: str) -> str:
    if isinstance(value, str):
        return value
    raise wrong_type(path, "a string", value)


def _context(value: Any, path: str) -> Raw:
    """Return the tokens of an earlier exchange, as an answer gave them."""
    if not isinstance(value, list):
        raise wrong_type(path, "an array of integers", value)
    check_tokens(value, path)
    return Raw(msgspec.json.encode(value))


def _images(value: Any, path: str) -> tuple[Media, ...]:
    if not isinstance(value, list):
        raise wrong_type(path, "an array of strings", value)
    return tuple(_image(image, f"{path}[{place}]") for place, image in enumerate(value))


def _image(value: Any, path: str) -> Media:
    text = _text(value, path).strip()
    if text[:8].lower().startswith(("http://", "https://")):
        message = "Images of a completion are not fetched from the web. Send the image itself, as base64."
        raise not_supported(path, message, code="invalid_image_url")
    return read_image_text(text, path)


Table: TypeAlias = dict[str, tuple[str, Callable[[Any, str], Any]]]
"""Names on the wire, with the attribute of `Extensions` that they fill and how they are read."""

TEXT: Table = {
    "keep_alive": ("keep_alive", check_keep_alive),
    "think": ("think", decode_think),
    "format": ("format", decode_format),
    "truncate": ("truncate", _boolean),
    "shift": ("shift", _boolean),
    "_debug_render_only": ("render_only", _boolean),
}
"""The extensions of every endpoint that answers with text."""

COMPLETION: Table = {
    **TEXT,
    "raw": ("raw", _boolean),
    "template": ("template", _text),
    "system": ("system", _text),
    "context": ("context", _context),
    "images": ("images", _images),
}
"""Those of completions, which have what only `/api/generate` has."""

_PLACES = frozenset({"options", "ollama"})


def decode_extensions(request: Fields, own: frozenset[str], ignored: Ignored, fields: Table = TEXT) -> Extensions:
    """Read the extension fields of a request; what is neither an extension nor the endpoint's own has no effect.

    Args:
        request: The whole request.
        own: The fields that the endpoint reads itself. At top level they are not extensions, whatever their name.
        ignored: Takes the names of fields without effect. An option that is not known is named there as well, and
            still handed on: a newer host may know it.
        fields: The extensions that the endpoint has, beside options.

    Raises:
        InvalidRequest: An extension has a wrong type or value.
    """
    found = Extensions(options={})
    for name, value in request.items():
        if name not in own and name not in _PLACES and value is not None:
            _take(found, fields, name, value, name, ignored)
    _take_options(found, request.object("options"), ignored)
    nested = request.object("ollama")
    if nested is not None:
        for name, value in nested.items():
            if name != "options" and value is not None:
                _take(found, fields, name, value, nested.at(shown(name)), ignored)
        _take_options(found, nested.object("options"), ignored)
    return found


def decode_stop(value: Any, path: str, ignored: Ignored) -> tuple[str, ...]:
    """Read the texts that end an answer: one or a list of them.

    An empty text stands at the beginning of every answer, and some hosts would stop before they began. So it is left
    out and named.

    Raises:
        InvalidRequest: It is neither.
    """
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        raise wrong_type(path, "a string or an array of strings", value)
    for place, text in enumerate(value):
        if not isinstance(text, str):
            raise wrong_type(f"{path}[{place}]", "a string", text)
        if not text:
            ignored.add(f"{path}[{place}]")
    return tuple(filter(None, value))


def _take(found: Extensions, fields: Table, name: str, value: Any, path: str, ignored: Ignored) -> None:
    if _take_option(found, name, value, path, ignored):
        return
    if name in fields:
        attribute, read = fields[name]
        setattr(found, attribute, read(value, path))
    else:
        ignored.add(path)


def _take_options(found: Extensions, options: Fields | None, ignored: Ignored) -> None:
    if options is None:
        return
    for name, value in options.items():
        path = options.at(shown(name))
        if value is None or _take_option(found, name, value, path, ignored):
            continue
        ignored.add(path)
        if name not in RETIRED:
            check_depth(value, path)
            found.options[name] = value


def _take_option(found: Extensions, name: str, value: Any, path: str, ignored: Ignored) -> bool:
    """Return whether it is a known option, and if so, take it up."""
    if name == "stop":
        found.stop = decode_stop(value, path, ignored)
    elif name in KNOWN:
        found.options[name] = check_option(name, value, path)
    else:
        return False
    return True
