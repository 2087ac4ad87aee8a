"""`data:` URLs (RFC 2397) and base64, in every spelling that callers send.

Hosts want bare standard base64 and refuse anything else. What is sent so costs one strict decoding, which checks it,
and is handed on as the same text.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from urllib.parse import unquote, unquote_to_bytes

from msgspec import Struct

MOST_ESCAPES = 10_000
"""How many percent signs data may have. Undoing each takes 0.2 µs and 80 bytes, and the event loop waits for it."""

SEND_BASE64 = "Send it as base64, without percent signs."
"""What a caller is told whose data could not be read."""

_TO_STANDARD = str.maketrans("-_", "+/", " \t\r\n\f\v")
"""URL-safe letters become standard ones; white space goes."""


class Data(Struct, frozen=True):
    """What a `data:` URL holds.

    Attributes:
        media_type: What it says that it is, in lower case and without parameters; empty when it does not say.
        text: The data as standard base64, padded.
        data: The data.
    """

    media_type: str
    text: str
    data: bytes


def read_data_url(url: str) -> Data | None:
    """Return what a `data:` URL, or base64 by itself, holds.

    None when its data is not base64, or has more than `MOST_ESCAPES` percent signs.
    """
    head, payload = "base64", url
    if url[:5].lower() == "data:":
        head, _, payload = url[5:].partition(",")
    words = [word.strip().lower() for word in head.split(";")]
    if "base64" in words:
        read = read_base64(payload)
    elif payload.count("%") > MOST_ESCAPES:
        read = None
    else:
        data = unquote_to_bytes(payload)
        read = encode_base64(data), data
    return None if read is None else Data(words[0] if "/" in words[0] else "", *read)


def read_base64(text: str) -> tuple[str, bytes] | None:
    """Return base64 of any spelling as standard base64 and as bytes, or None when it is none.

    Read are standard and URL-safe letters, with and without padding, with white space and percent signs between them;
    of the latter at most `MOST_ESCAPES`.
    """
    data = _strict(text)
    if data is not None:
        return text, data
    escapes = text.count("%")
    if escapes > MOST_ESCAPES:
        return None
    if escapes:
        text = unquote(text)
    bare = text.translate(_TO_STANDARD).rstrip("=")
    padded = bare + "=" * (-len(bare) % 4)
    data = _strict(padded)
    return None if data is None else (padded, data)


def encode_base64(data: bytes) -> str:
    """Return standard base64, padded, on one line."""
    return b2a_base64(data, newline=False).decode("ascii")


def _strict(text: str) -> bytes | None:
    try:
        return a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
