"""Images and sounds within a message, in every spelling that callers send (wire.md 4).

Hosts want bare standard base64 and tell images from sounds by their first bytes, so these are checked here (wire.md
1.4). An image that is only named by its http(s) URL becomes one without data: whoever can wait fetches it, and has its
bytes read here.
"""

from __future__ import annotations

from adapters.errors import InvalidRequest
from adapters.openai.data_urls import SEND_BASE64, encode_base64, read_base64, read_data_url
from adapters.openai.fields import Fields, Ignored, missing, not_among, wrong_type
from adapters.types import Media

_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM")
_SOUNDS = ("wav", "mp3")


_IMAGE = frozenset({"url"})


def decode_image(part: Fields, ignored: Ignored) -> Media:
    """Read a content part of type `image_url`, whose URL may stand in an object or by itself.

    An image is always sent as it is, so a wish for less (`detail`) has no effect.

    Raises:
        InvalidRequest: There is no URL, it is none of `data:`, http(s) or base64, or it holds no image that a host can
            read. The codes are OpenAI's: `invalid_image_url`, `invalid_base64_image`, `empty_image_file`,
            `invalid_image`.
    """
    match part.get("image_url"):
        case None:
            raise missing(part.at("image_url"))
        case str() as url:
            path = part.at("image_url")
        case dict() as values:
            image = Fields(values, part.at("image_url"))
            for field in image.unknown(_IMAGE):
                if (field, image.get(field)) != ("detail", "auto"):
                    ignored.add(f"messages[].content[].image_url.{field}")
            url, path = image.required_string("url"), image.at("url")
        case other:
            raise wrong_type(part.at("image_url"), "an object", other)
    url = url.strip()
    if url[:8].lower().startswith(("http://", "https://")):
        return Media(kind="image", url=url, param=path)
    return read_image_text(url, path)


def read_image_text(text: str, path: str) -> Media:
    """Return the image that a `data:` URL, or base64 by itself, holds.

    Args:
        text: The URL or the base64.
        path: Where it stands, for errors.

    Raises:
        InvalidRequest: It is neither, or holds no image that a host can read; the codes are those of `decode_image`.
    """
    standard, data = _read_url(text, path)
    _check_image(data, path)
    return Media(kind="image", data=standard)


def read_image(data: bytes, param: str) -> Media:
    """Return the image that a file's bytes are.

    Args:
        data: The whole file.
        param: The field that named it, for errors.

    Raises:
        InvalidRequest: They are no image that a host can read; the codes are `empty_image_file` and `invalid_image`.
    """
    _check_image(data, param)
    return Media(kind="image", data=encode_base64(data))


def decode_audio(part: Fields) -> Media:
    """Read a content part of type `input_audio`.

    Raises:
        InvalidRequest: It is not base64, or not a WAV or MP3 file.
    """
    audio = part.required_object("input_audio")
    form = audio.string("format")
    if form is not None and form not in _SOUNDS:
        raise not_among(audio.at("format"), form, _SOUNDS)
    path = audio.at("data")
    read = read_base64(audio.required_string("data").strip())
    if read is None:
        raise InvalidRequest(f"Invalid '{path}': it is not base64. {SEND_BASE64}", param=path)
    text, data = read
    if not is_sound(data):
        raise InvalidRequest(f"Invalid '{path}': expected the bytes of a WAV or MP3 file.", param=path)
    return Media(kind="audio", data=text)


def is_image(data: bytes) -> bool:
    """Tell whether these are the bytes of a PNG, JPEG, WebP, GIF or BMP file."""
    return data.startswith(_IMAGES) or (data.startswith(b"RIFF") and data[8:12] == b"WEBP")


def is_sound(data: bytes) -> bool:
    """Tell WAV and MP3 (with a tag or from a frame's eleven set bits on) as Ollama does."""
    if data.startswith(b"RIFF"):
        return data[8:12] == b"WAVE"
    return data.startswith(b"ID3") or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0)


def _read_url(url: str, path: str) -> tuple[str, bytes]:
    """Return what a `data:` URL or bare base64 holds, as standard base64 and as bytes."""
    if url[:5].lower() == "data:":
        if "," not in url:
            message = "Invalid image URL: a data: URL has a comma before its data."
            raise InvalidRequest(message, param=path, code="invalid_image_url")
    elif ":" in url[:64]:
        message = "Invalid image URL: only data: and http(s) URLs are read."
        raise InvalidRequest(message, param=path, code="invalid_image_url")
    read = read_data_url(url)
    if read is None:
        message = f"Invalid image: its data is not base64. {SEND_BASE64}"
        raise InvalidRequest(message, param=path, code="invalid_base64_image")
    return read.text, read.data


def _check_image(data: bytes, path: str) -> None:
    if not data:
        raise InvalidRequest("The image is empty.", param=path, code="empty_image_file")
    if not is_image(data):
        message = "Invalid image: expected the bytes of a PNG, JPEG, WebP, GIF or BMP file."
        raise InvalidRequest(message, param=path, code="invalid_image")
