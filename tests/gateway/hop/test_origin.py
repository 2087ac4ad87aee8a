from __future__ import annotations

import pytest

from gateway.hop.origin import Origin, parse_origin


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://box", Origin("http", "box", 80, "box")),
        ("http://box:80/", Origin("http", "box", 80, "box")),
        ("HTTP://Box.LAN:11434", Origin("http", "box.lan", 11434, "box.lan:11434")),
        ("https://box", Origin("https", "box", 443, "box")),
        ("https://box:443", Origin("https", "box", 443, "box")),
        ("https://box:80", Origin("https", "box", 80, "box:80")),
        ("http://box:", Origin("http", "box", 80, "box")),
        ("http://10.0.0.7:11434", Origin("http", "10.0.0.7", 11434, "10.0.0.7:11434")),
        ("http://[::1]:11434", Origin("http", "::1", 11434, "[::1]:11434")),
        ("http://[2001:DB8:0:0:0:0:0:1]", Origin("http", "2001:db8::1", 80, "[2001:db8::1]")),
        ("http://[fe80::1%25eth0]:11434", Origin("http", "fe80::1%eth0", 11434, "[fe80::1]:11434")),
        ("http://ollama_1:11434", Origin("http", "ollama_1", 11434, "ollama_1:11434")),
        ("http://bücher.example", Origin("http", "xn--bcher-kva.example", 80, "xn--bcher-kva.example")),
        ("http://box/ollama/", Origin("http", "box", 80, "box", "/ollama")),
        ("http://box/a/b%20c", Origin("http", "box", 80, "box", "/a/b%20c")),
        (
            "http://Aladdin:open%20sesame@box",
            Origin("http", "box", 80, "box", "", b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ),
        ("http://token@box", Origin("http", "box", 80, "box", "", b"Basic dG9rZW46")),
    ],
)
def test_url_says_where_a_host_listens(url: str, origin: Origin) -> None:
    assert parse_origin(url) == origin


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "must begin with http:// or https://"),
        ("box:11434", "must begin with http:// or https://"),
        ("//box", "must begin with http:// or https://"),
        ("ftp://box", "must begin with http:// or https://"),
        ("http://", "must name the host"),
        ("http://:11434", "must name the host"),
        ("http://box:port", "malformed"),
        ("http://box:99999", "malformed"),
        ("http://box:0", "port 0"),
        ("http://[::1", "malformed"),
        ("http://[zz]", "malformed"),
        ("http://[v1.a:b]", "malformed"),
        (" http://box", "a space before it, or a control character"),
        ("http://bo\nx", "a space before it, or a control character"),
        ("http://box?x=1", "a query or a fragment"),
        ("http://box/#x", "a query or a fragment"),
        ("http://box/?", "a query or a fragment"),
        ("http://box/a b", "percent-encoded"),
        ("http://box/ü", "percent-encoded"),
        ("http://bo x", "a character that names do not have"),
        ("http://bo\\x", "a character that names do not have"),
        ("http://a..b", "cannot be looked up"),
        (f"http://{'a' * 64}", "cannot be looked up"),
    ],
)
def test_url_that_is_no_hosts_is_refused_with_the_reason(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_origin(url)


def test_password_is_in_no_text() -> None:
    origin = parse_origin("https://me:secret@box/x")
    assert (str(origin), repr(origin)) == ("https://box/x", "Origin(https://box/x)")
    for url in (
        "https://me:secret@box/?q",
        "ftp://me:secret@box",
        "http://me:secret@box:port",
        "http://me:secret/@box",
    ):
        with pytest.raises(ValueError, match="URL of a host") as caught:
            parse_origin(url)
        assert "secret" not in str(caught.value)
