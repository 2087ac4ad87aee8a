from __future__ import annotations

from collections.abc import Sequence

import pytest

from adapters.errors import InvalidRequest
from adapters.types import Call
from gateway.hop.origin import parse_origin
from gateway.hop.request import RequestEncoder, Upload
from tests.gateway.hop.servers import pieces

NOTHING = pieces()


def encode(
    call: Call, upload: Upload | None = None, url: str = "http://box:11434", headers: Sequence[tuple[bytes, bytes]] = ()
) -> bytes:
    return RequestEncoder(parse_origin(url), headers).encode(call, upload)


@pytest.mark.parametrize(
    ("call", "upload", "head"),
    [
        (Call(method="GET", target="/api/tags"), None, b"GET /api/tags HTTP/1.1\r\nhost: box:11434\r\n\r\n"),
        (Call(method="HEAD", target="/"), None, b"HEAD / HTTP/1.1\r\nhost: box:11434\r\n\r\n"),
        (
            Call(method="POST", target="/api/chat", headers=((b"content-type", b"application/json"),), body=b"{}"),
            None,
            b"POST /api/chat HTTP/1.1\r\nhost: box:11434\r\n"
            b"content-type: application/json\r\ncontent-length: 2\r\n\r\n",
        ),
        (
            Call(method="POST", target="/x"),
            None,
            b"POST /x HTTP/1.1\r\nhost: box:11434\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            Call(method="DELETE", target="/api/delete", body=b"{}"),
            None,
            b"DELETE /api/delete HTTP/1.1\r\nhost: box:11434\r\ncontent-length: 2\r\n\r\n",
        ),
        (
            Call(method="POST", target="/blob?a=b"),
            Upload(NOTHING, 7),
            b"POST /blob?a=b HTTP/1.1\r\nhost: box:11434\r\ncontent-length: 7\r\n\r\n",
        ),
        (
            Call(method="GET", target="/"),
            Upload(NOTHING, 0),
            b"GET / HTTP/1.1\r\nhost: box:11434\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            Call(method="POST", target="/blob"),
            Upload(NOTHING, None),
            b"POST /blob HTTP/1.1\r\nhost: box:11434\r\ntransfer-encoding: chunked\r\n\r\n",
        ),
    ],
)
def test_header_block_is_exactly_what_the_call_says(call: Call, upload: Upload | None, head: bytes) -> None:
    assert encode(call, upload) == head


def test_constant_headers_and_prefix_go_with_every_call_and_win() -> None:
    call = Call(method="GET", target="/api/tags", headers=((b"x-team", b"caller"), (b"accept", b"*/*")))
    head = encode(call, url="http://me:pw@box/ollama", headers=[(b"X-Team", b"red")])
    assert head == (
        b"GET /ollama/api/tags HTTP/1.1\r\nhost: box\r\nx-team: red\r\nauthorization: Basic bWU6cHc=\r\naccept: */*\r\n\r\n"
    )


@pytest.mark.parametrize("target", ["", "api", "*", "/a b", "/a\r\nx: y", "/a\0", "/ü", "/a#b", "/\x7f", "http://box/"])
def test_target_that_could_break_out_of_its_line_is_refused(target: str) -> None:
    with pytest.raises(InvalidRequest, match="percent-encoded"):
        encode(Call(method="GET", target=target))


@pytest.mark.parametrize("value", [b"a\r\nx: y", b"a\nb", b"a\rb", b"a\0b"])
def test_header_value_that_could_break_out_of_its_line_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidRequest, match="x-thing has a line break or a NUL"):
        encode(Call(method="GET", target="/", headers=((b"x-thing", value),)))


@pytest.mark.parametrize(
    "name",
    [
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"connection",
        b"upgrade",
        b"Content-Length",
        b"x y",
        b"x:",
        b"",
    ],
)
def test_call_must_not_bring_headers_of_the_connection_nor_malformed_names(name: bytes) -> None:
    with pytest.raises(ValueError, match="must not bring the header"):
        encode(Call(method="GET", target="/", headers=((name, b"x"),)))


@pytest.mark.parametrize("method", ["", "get", "GET ", "G\r\n", "CONNECT"])
def test_method_that_cannot_be_forwarded_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match="cannot be forwarded"):
        encode(Call(method=method, target="/"))


@pytest.mark.parametrize(
    "header", [(b"Host", b"x"), (b"content-length", b"1"), (b"x y", b"z"), (b"x", b"a\r\nb: c"), (b"", b"")]
)
def test_constant_header_that_is_malformed_or_the_connections_is_refused(header: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="cannot be sent to a host"):
        encode(Call(method="GET", target="/"), headers=[header])


def test_host_has_one_authorization_only() -> None:
    with pytest.raises(ValueError, match="both a password in its URL and an Authorization header"):
        encode(Call(method="GET", target="/"), url="http://me:pw@box", headers=[(b"Authorization", b"Bearer x")])


def test_chunked_upload_never_sends_the_last_chunk_before_the_end() -> None:
    upload = Upload(NOTHING, None)
    assert [upload.encode(piece) for piece in (b"ab", b"", b"x" * 26)] == [
        b"2\r\nab\r\n",
        b"",
        b"1a\r\n" + b"x" * 26 + b"\r\n",
    ]
    assert upload.encode_end() == b"0\r\n\r\n"


def test_upload_of_known_length_is_sent_as_it_is() -> None:
    upload = Upload(NOTHING, 3)
    assert [upload.encode(b"ab"), upload.encode(b""), upload.encode(b"c"), upload.encode_end()] == [
        b"ab",
        b"",
        b"c",
        b"",
    ]


def test_upload_longer_than_announced_is_refused_before_it_is_sent() -> None:
    upload = Upload(NOTHING, 3)
    upload.encode(b"ab")
    with pytest.raises(InvalidRequest, match="longer than its content-length of 3"):
        upload.encode(b"cd")


def test_upload_shorter_than_announced_is_refused() -> None:
    upload = Upload(NOTHING, 3)
    upload.encode(b"ab")
    with pytest.raises(InvalidRequest, match="ended after 2 of the 3 bytes"):
        upload.encode_end()
