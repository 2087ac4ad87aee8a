"""Images and sounds within a message, in every spelling that callers send (wire.md 4).

Hosts want bare standard base64 and refuse anything else. An image that is sent so costs one strict decoding, which
checks it, and is handed on as the same text.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from urllib.parse import unquote, unquote_to_bytes

from adapters.errors import InvalidRequest
from adapters.openai.fields import Fields, missing, not_among, not_supported, wrong_type
from adapters.types import Media

_TO_STANDARD = str.maketrans("-_", "+/", " \t\r\n\f\v")
"""URL-safe letters become standard ones; white space goes."""

_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM")
_SOUNDS = ("wav", "mp3")


def decode_image(part: Fields) -> Media:
    """Read a content part of type `image_url`, whose URL may stand in an object or by itself.

    Raises:
        InvalidRequest: There is no URL, it is not a `data:` URL or base64, or it is no image that a host can read. The
            codes are OpenAI's: `invalid_image_url`, `invalid_base64_image`, `empty_image_file`, `invalid_image`.
    """
    match part.get("image_url"):
        case None:
            raise missing(part.at("image_url"))
        case str() as url:
            path = part.at("image_url")
        case dict() as values:
            image = Fields(values, part.at("image_url"))
            url, path = image.required_string("url"), image.at("url")
        case other:
            raise wrong_type(part.at("image_url"), "an object", other)
    text, data = _read_url(url.strip(), path)
    if not data:
        raise InvalidRequest("The image is empty.", param=path, code="empty_image_file")
    if not _is_image(data):
        message = "Invalid image: expected the bytes of a PNG, JPEG, WebP, GIF or BMP file."
        raise InvalidRequest(message, param=path, code="invalid_image")
    return Media(kind="image", data=text)


def decode_audio(part: Fields) -> Media:
    """Read a content part of type `input_audio`.

    Hosts tell sounds from images by their first bytes, so those are checked here (wire.md 1.4).

    Raises:
        InvalidRequest: It is not base64, or not a WAV or MP3 file.
    """
    audio = part.required_object("input_audio")
    form = audio.string("format")
    if form is not None and form not in _SOUNDS:
        raise not_among(audio.at("format"), form, _SOUNDS)
    path = audio.at("data")
    read = _read_base64(audio.required_string("data").strip())
    if read is None:
        raise InvalidRequest(f"Invalid '{path}': it is not base64.", param=path)
    text, data = read
    if not _is_sound(data):
        raise InvalidRequest(f"Invalid '{path}': expected the bytes of a WAV or MP3 file.", param=path)
    return Media(kind="audio", data=text)


def _read_url(url: str, path: str) -> tuple[str, bytes]:
    """Return what a `data:` URL (RFC 2397) or bare base64 holds, as standard base64 and as bytes."""
    scheme = url[:8].lower()
    if scheme.startswith(("http://", "https://")):
        message = "Images are not fetched from the web here. Send the image itself, as a data: URL with base64."
        raise not_supported(path, message, code="invalid_image_url")
    if scheme.startswith("data:"):
        head, comma, payload = url[5:].partition(",")
        if not comma:
            message = "Invalid image URL: a data: URL has a comma before its data."
            raise InvalidRequest(message, param=path, code="invalid_image_url")
        if "base64" not in (word.strip().lower() for word in head.split(";")):
            data = unquote_to_bytes(payload)
            return b2a_base64(data, newline=False).decode("ascii"), data
    else:
        payload = url
        if ":" in url[:64]:
            message = "Invalid image URL: only data: URLs are read."
            raise InvalidRequest(message, param=path, code="invalid_image_url")
    read = _read_base64(payload)
    if read is None:
        message = "Invalid image: its data is not base64."
        raise InvalidRequest(message, param=path, code="invalid_base64_image")
    return read


def _read_base64(text: str) -> tuple[str, bytes] | None:
    """Return base64 of any spelling as standard base64 and as bytes, or None when it is none.

    Read are standard and URL-safe letters, with and without padding, with white space and percent signs between them.
    """
    data = _strict(text)
    if data is not None:
        return text, data
    if "%" in text:
        text = unquote(text)
    bare = text.translate(_TO_STANDARD).rstrip("=")
    padded = bare + "=" * (-len(bare) % 4)
    data = _strict(padded)
    return None if data is None else (padded, data)


def _strict(text: str) -> bytes | None:
    try:
        return a2b_base64(text, strict_mode=True)
    except ValueError:
        return None


def _is_image(data: bytes) -> bool:
    return data.startswith(_IMAGES) or (data.startswith(b"RIFF") and data[8:12] == b"WEBP")


def _is_sound(data: bytes) -> bool:
    """Tell WAV and MP3 (with a tag or from a frame's eleven set bits on) as Ollama does."""
    if data.startswith(b"RIFF"):
        return data[8:12] == b"WAVE"
    return data.startswith(b"ID3") or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0)
