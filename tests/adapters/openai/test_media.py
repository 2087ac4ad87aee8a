from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from typing import Any
from urllib.parse import quote

import pytest

from adapters.errors import InvalidRequest
from adapters.openai.data_urls import MOST_ESCAPES, read_data_url
from adapters.openai.media import read_image
from adapters.types import Media
from tests.adapters.openai.requests import decode_message, refusal

# Bytes whose base64 has both letters that differ between the alphabets, and padding.
PNG_BYTES = b"\x89PNG\r\n\x1a\n\x00\xfb\xff\xbf\xfe\xff\x01\x02"
PNG = b64encode(PNG_BYTES).decode()
PNG_URL = f"data:image/png;base64,{PNG}"
URL_SAFE = urlsafe_b64encode(PNG_BYTES).decode()
WAV = b64encode(b"RIFF\x24\x00\x00\x00WAVEfmt ").decode()


def test_the_sample_needs_every_step_of_normalising() -> None:
    assert set("+/=") <= set(PNG)
    assert set("-_=") <= set(URL_SAFE)


def user(part: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": [part]}


def image(url: object) -> dict[str, Any]:
    return user({"type": "image_url", "image_url": {"url": url}})


def audio(**fields: Any) -> dict[str, Any]:
    return user({"type": "input_audio", "input_audio": fields})


@pytest.mark.parametrize(
    "url",
    [
        PNG_URL,
        f"data:image/png;base64,{PNG.rstrip('=')}",
        f"data:image/png;base64,{URL_SAFE}",
        f"data:image/png;base64,{URL_SAFE.rstrip('=')}",
        f"data:image/png;base64,{PNG[:8]}\r\n{PNG[8:]}\n",
        f"data:image/png;base64, {PNG[:7]} \t{PNG[7:]}",
        f"data:image/png;base64,{quote(PNG, safe='')}",
        f"data:image/png;charset=utf-8;base64,{PNG}",
        f"data:image/png;name=a.png;BASE64,{PNG}",
        f"DATA:IMAGE/PNG;BASE64,{PNG}",
        f"data:image/png; base64 ,{PNG}",
        f"data:;base64,{PNG}",
        f"data:base64,{PNG}",
        f"data:application/octet-stream;base64,{PNG}",
        f"data:image/jpeg;base64,{PNG}",
        f"data:image/png,{quote(PNG_BYTES)}",
        f"  {PNG_URL}\n",
        PNG,
        URL_SAFE.rstrip("="),
    ],
)
def test_an_image_in_any_spelling_becomes_standard_base64(url: str) -> None:
    assert decode_message(image(url)).media == (Media("image", PNG),)


def test_the_url_may_stand_without_its_object() -> None:
    assert decode_message(user({"type": "image_url", "image_url": PNG_URL})).media == (Media("image", PNG),)


@pytest.mark.parametrize(
    "data",
    [
        PNG_BYTES,
        b"\xff\xd8\xff\xe0\x00\x10JFIF",
        b"GIF87a\x01\x00",
        b"GIF89a\x01\x00",
        b"RIFF\x24\x00\x00\x00WEBPVP8 ",
        b"BM\x46\x00\x00\x00",
    ],
)
def test_an_image_is_known_by_its_first_bytes(data: bytes) -> None:
    encoded = b64encode(data).decode()
    assert decode_message(image(f"data:text/plain;base64,{encoded}")).media == (Media("image", encoded),)


@pytest.mark.parametrize(
    "url", ["https://example.com/cat.png", "HTTP://example.com:8080/a?b#c", "http://", "https://[::1"]
)
def test_an_image_on_the_web_is_only_named(url: str) -> None:
    expected = Media("image", url=url, param="messages[0].content[0].image_url.url")
    assert decode_message(image(f" {url}\n")).media == (expected,)


def test_an_image_on_the_web_may_stand_without_its_object() -> None:
    expected = Media("image", url="https://example.com/cat.png", param="messages[0].content[0].image_url")
    assert decode_message(user({"type": "image_url", "image_url": expected.url})).media == (expected,)


def test_a_fetched_image_becomes_standard_base64() -> None:
    assert read_image(PNG_BYTES, "image") == Media("image", PNG)


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "empty_image_file"), (b"<html>", "invalid_image"), (b"RIFF\x24\x00\x00\x00WAVEfmt ", "invalid_image")],
)
def test_a_fetched_image_is_checked_like_one_that_is_sent(data: bytes, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_image(data, "messages[0].content[0].image_url.url")

    assert (caught.value.param, caught.value.code) == ("messages[0].content[0].image_url.url", code)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://example.com/cat.png", "invalid_image_url"),
        ("file:///etc/passwd", "invalid_image_url"),
        ("blob:1234", "invalid_image_url"),
        ("data:image/png;base64", "invalid_image_url"),
        ("data:image/png;base64,????", "invalid_base64_image"),
        ("data:image/png;base64,iVBORw0KG", "invalid_base64_image"),
        ("data:image/png;base64,%FF%FF", "invalid_base64_image"),
        ("data:image/png;base64,é", "invalid_base64_image"),
        ("data:image/png;base64,QQ==QQ==", "invalid_base64_image"),
        ("cat.png", "invalid_base64_image"),
        ("data:image/png;base64,", "empty_image_file"),
        ("data:,", "empty_image_file"),
        ("", "empty_image_file"),
        (f"data:image/png;base64,{b64encode(b'hello').decode()}", "invalid_image"),
        ("data:image/svg+xml,%3Csvg/%3E", "invalid_image"),
        (f"data:image/wav;base64,{WAV}", "invalid_image"),
    ],
)
def test_what_is_no_image_is_refused_in_openais_codes(url: str, code: str) -> None:
    param, found, message = refusal(messages=[image(url)])
    assert (param, found) == ("messages[0].content[0].image_url.url", code)
    assert message.endswith(".")


@pytest.mark.parametrize("head", ["data:image/png;base64,", "data:image/png,", ""])
def test_an_image_of_very_many_percent_signs_is_refused(head: str) -> None:
    few, many = (head + PNG + "%41" * count for count in (MOST_ESCAPES, MOST_ESCAPES + 1))

    assert refusal(messages=[image(many)]) == (
        "messages[0].content[0].image_url.url",
        "invalid_base64_image",
        "Invalid image: its data is not base64. Send it as base64, without percent signs.",
    )
    assert read_data_url(few.replace(PNG, PNG.rstrip("="))) is not None


def test_a_sound_of_very_many_percent_signs_is_refused() -> None:
    path = "messages[0].content[0].input_audio.data"

    assert refusal(messages=[audio(data=WAV + "%41" * (MOST_ESCAPES + 1))]) == (
        path,
        "invalid_value",
        f"Invalid '{path}': it is not base64. Send it as base64, without percent signs.",
    )


@pytest.mark.parametrize(
    ("part", "param", "code"),
    [
        ({}, "image_url", "missing_required_parameter"),
        ({"image_url": 7}, "image_url", "invalid_type"),
        ({"image_url": {}}, "image_url.url", "missing_required_parameter"),
        ({"image_url": {"url": 7}}, "image_url.url", "invalid_type"),
        ({"image_url": "file:///cat.png"}, "image_url", "invalid_image_url"),
    ],
)
def test_an_image_without_a_url(part: dict[str, Any], param: str, code: str) -> None:
    expected = (f"messages[0].content[0].{param}", code)
    assert refusal(messages=[user({"type": "image_url", **part})])[:2] == expected


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "wav"),
        (b"ID3\x04\x00\x00", "mp3"),
        (b"\xff\xfb\x90\x00", "mp3"),
        (b"\xff\xf3\x40\x00", None),
    ],
)
def test_a_sound(data: bytes, form: str | None) -> None:
    encoded = b64encode(data).decode()
    assert decode_message(audio(data=encoded, format=form)).media == (Media("audio", encoded),)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({}, "data", "missing_required_parameter"),
        ({"data": WAV, "format": "flac"}, "format", "invalid_value"),
        ({"data": "????"}, "data", "invalid_value"),
        ({"data": ""}, "data", "invalid_value"),
        ({"data": "/w=="}, "data", "invalid_value"),
        ({"data": PNG}, "data", "invalid_value"),
        ({"data": b64encode(b"RIFF\x24\x00\x00\x00WEBPVP8 ").decode()}, "data", "invalid_value"),
    ],
)
def test_what_is_no_sound_is_refused(fields: dict[str, Any], param: str, code: str) -> None:
    expected = (f"messages[0].content[0].input_audio.{param}", code)
    assert refusal(messages=[audio(**fields)])[:2] == expected


def test_a_sound_without_its_object() -> None:
    expected = ("messages[0].content[0].input_audio", "missing_required_parameter")
    assert refusal(messages=[user({"type": "input_audio"})])[:2] == expected
