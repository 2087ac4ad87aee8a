"""Whose pages may call: origins as browsers send them, and nothing that could never match."""

from __future__ import annotations

import pytest

from gateway.config import CorsSettings, Settings, load
from tests.gateway.config.problems import problems

GOOD = [
    "*",
    "https://app.example",
    "http://localhost:3000",
    "http://127.0.0.1:8080",
    "http://[::1]:5173",
    "https://a-b.example_c.org:8443",
    "http://app.example:443",
    "app://obsidian.md",
    "chrome-extension://gppongmhjkpfnbhagpmjfkannfbllamg",
]

BAD = [
    "",
    "null",
    "app.example",
    "https://",
    "https://app.example/",
    "https://app.example/path",
    "https://App.example",
    "HTTPS://app.example",
    "https://app.example:443",
    "http://app.example:80",
    "https://*.example",
    "https://me:pw@app.example",
    "https://bücher.example",
    "https://app.example?x",
    " https://app.example",
]


def test_nobodys_by_default():
    assert Settings().cors == CorsSettings(origins=())


@pytest.mark.parametrize("origin", GOOD)
def test_an_origin(write, origin):
    assert load(write(f"cors: {{origins: ['{origin}']}}"), {}).cors.origins == (origin,)


@pytest.mark.parametrize("origin", BAD)
def test_what_no_browser_sends_is_a_mistake(write, origin):
    assert problems(write(f"cors:\n  origins:\n    - https://app.example\n    - '{origin}'")) == [
        f"FILE:4: cors.origins[1]: {origin!r} is not an origin. Write it as browsers send it: scheme, host, and port "
        "unless it is the usual one, in small letters and without a path, such as https://app.example or "
        'http://localhost:3000; or "*" for every page.'
    ]


def test_they_can_come_from_the_environment():
    environ = {"OLLAMA_GATEWAY_CORS_ORIGINS": '["http://localhost:3000", "*"]'}

    assert load(None, environ).cors.origins == ("http://localhost:3000", "*")
