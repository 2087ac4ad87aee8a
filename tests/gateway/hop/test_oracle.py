"""The same servers, well-behaved and hostile, read by the hop and by httpx2."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx2
import pytest
from msgspec import Struct

from adapters.errors import HostBroken
from adapters.types import Call
from gateway.hop import Hop
from tests.gateway.hop.servers import GET, OK, Peer, Script, serve

OK_LINE = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK_LINE + b"transfer-encoding: chunked\r\n\r\n"
LONG = b"x" * 70_000

BROKEN = None


class Answered(Struct, frozen=True):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Row(Struct, frozen=True):
    """One server.

    Attributes:
        name: What it does.
        wire: The writes with which it answers the first request.
        body: What the hop makes of it; BROKEN when that is an error.
        status: The status it sends.
        method: The method of the request.
        stays: Whether it then waits for another request; else it closes the connection.
        differs: Why httpx2 rightly does something else; empty when it must do the same.
    """

    name: str
    wire: Sequence[bytes]
    body: bytes | None = BROKEN
    status: int = 200
    method: str = "GET"
    stays: bool = False
    differs: str = ""


STRICT = "llhttp is strict where h11 is lenient; no host writes this, and proxies disagree about it"
BOUNDED = "httpx2 reads up to 100 KiB, and only counts what came without the end of the header block"

ROWS = [
    # bodies
    Row("content-length", [OK], b"ok", stays=True),
    Row("content-length, and the host closes", [OK], b"ok"),
    Row("an empty body", [OK_LINE + b"content-length: 0\r\n\r\n"], b"", stays=True),
    Row("one byte at a time", [bytes([byte]) for byte in OK], b"ok", stays=True),
    Row("chunked", [CHUNKED + b"2\r\nok\r\n0\r\n\r\n"], b"ok", stays=True),
    Row("chunked, one byte at a time", [bytes([b]) for b in CHUNKED + b"2\r\nok\r\n0\r\n\r\n"], b"ok", stays=True),
    Row("chunked in capitals", [OK_LINE + b"Transfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"], b"ok",
        differs="h11 rewrites the header's value"),
    Row("chunk extensions", [CHUNKED + b'2;a=b;c="d"\r\nok\r\n0;e\r\n\r\n'], b"ok", stays=True),
    Row("trailers", [CHUNKED + b"2\r\nok\r\n0\r\nx-sum: 1\r\nx-more: 2\r\n\r\n"], b"ok", stays=True),
    Row("an empty chunked body", [CHUNKED + b"0\r\n\r\n"], b"", stays=True),
    Row("hexadecimal chunk sizes", [CHUNKED + b"1A\r\n" + b"x" * 26 + b"\r\n0a\r\n0123456789\r\n0\r\n\r\n"],
        b"x" * 26 + b"0123456789"),
    Row("until the connection closes", [OK_LINE + b"\r\nall", b" of it"], b"all of it"),
    Row("until close, and nothing comes", [OK_LINE + b"\r\n"], b""),
    Row("HTTP/1.0 until close", [b"HTTP/1.0 200 OK\r\n\r\nold"], b"old"),
    Row("HTTP/1.0 with content-length", [b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nold"], b"old"),
    Row("HTTP/1.0 kept alive", [b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\nold"], b"old",
        stays=True),
    Row("connection: close", [OK_LINE + b"connection: close\r\ncontent-length: 2\r\n\r\nok"], b"ok"),
    Row("a large body", [OK_LINE + b"content-length: 1000000\r\n\r\n", b"y" * 1_000_000], b"y" * 1_000_000, stays=True),
    # without a body
    Row("204", [b"HTTP/1.1 204 No Content\r\n\r\n"], b"", 204, stays=True),
    Row("204 with a content-length", [b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n"], b"", 204, stays=True),
    Row("304", [b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"], b"", 304, stays=True),
    Row("HEAD", [OK_LINE + b"content-length: 5\r\n\r\n"], b"", method="HEAD", stays=True),
    Row("HEAD, chunked", [CHUNKED], b"", method="HEAD", stays=True),
    Row("HEAD, and the host sends a body all the same", [OK], b"", method="HEAD", stays=True),
    Row("HEAD without framing", [OK_LINE + b"\r\n"], b"", method="HEAD", stays=True),
    # statuses and headers
    Row("an error status", [b"HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\nno"], b"no", 500, stays=True),
    Row("no reason phrase", [b"HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nok"], b"ok", stays=True),
    Row("no reason phrase and no space", [b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok"], b"ok", stays=True),
    Row("100 first", [b"HTTP/1.1 100 Continue\r\n\r\n", OK], b"ok", stays=True),
    Row("102, 103, 103 first",
        [b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n",
         b"HTTP/1.1 103 Early Hints\r\nlink: b\r\n\r\n" + OK], b"ok", stays=True),
    Row("repeated, empty and padded headers",
        [OK_LINE + b"set-cookie: a\r\nSet-Cookie: b\r\nx-empty:\r\nx-padded: \t c d \t \r\nContent-Length: 0\r\n\r\n"],
        b"", stays=True),
    Row("header values beyond ASCII", [OK_LINE + b"x: \xc3\xa9\xff\r\ncontent-length: 0\r\n\r\n"], b"", stays=True),
    Row("an upgrade that is only offered",
        [OK_LINE + b"upgrade: h2c\r\nconnection: upgrade\r\ncontent-length: 2\r\n\r\nok"], b"ok"),
    Row("large headers", [OK_LINE + b"x: " + b"h" * 60_000 + b"\r\ncontent-length: 2\r\n\r\nok"], b"ok", stays=True),
    # what follows an answer
    Row("bytes after the answer", [OK + b"more"], b"ok", stays=True),
    Row("an answer that nobody asked for", [OK + OK], b"ok", stays=True),
    Row("bytes after connection: close",
        [OK_LINE + b"connection: close\r\ncontent-length: 2\r\n\r\nokmore"], b"ok"),
    # cut
    Row("nothing", []),
    Row("half a status line", [b"HTTP/1.1 20"]),
    Row("half a header block", [OK_LINE + b"content-le"]),
    Row("a header block without its end", [OK_LINE + b"content-length: 2\r\n"]),
    Row("100 and then nothing", [b"HTTP/1.1 100 Continue\r\n\r\n"]),
    Row("too short for its content-length", [OK_LINE + b"content-length: 10\r\n\r\nshort"]),
    Row("cut in a chunk", [CHUNKED + b"a\r\n0123"]),
    Row("cut in a chunk size", [CHUNKED + b"2\r\nok\r\n1"]),
    Row("cut before the last chunk", [CHUNKED + b"2\r\nok\r\n"]),
    Row("cut in the trailers", [CHUNKED + b"2\r\nok\r\n0\r\nx-sum: 1"]),
    # garbage
    Row("another protocol", [b"SSH-2.0-OpenSSH_9.6\r\n"]),
    Row("TLS to a plain client", [b"\x15\x03\x01\x00\x02\x02\x50"]),
    Row("RTSP", [b"RTSP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n"]),
    Row("zeros", [bytes(1000)]),
    Row("a line that never ends", [b"HTTP/1.1 200 " + LONG]),
    Row("HTTP/2.0", [b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n"], differs=STRICT),
    Row("a status of two digits", [b"HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n"]),
    Row("a status of words", [b"HTTP/1.1 yes OK\r\ncontent-length: 0\r\n\r\n"]),
    Row("status 000", [b"HTTP/1.1 000 OK\r\ncontent-length: 0\r\n\r\n"]),
    Row("101 without being asked", [b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhello"]),
    Row("a header without a colon", [OK_LINE + b"nonsense\r\n\r\n"]),
    Row("a header without a name", [OK_LINE + b": value\r\n\r\n"]),
    Row("a space before the colon", [OK_LINE + b"x : y\r\ncontent-length: 0\r\n\r\n"]),
    Row("NUL in a header", [OK_LINE + b"x: a\0b\r\ncontent-length: 0\r\n\r\n"]),
    Row("a header block over the limit", [OK_LINE + b"x: " + LONG + b"\r\ncontent-length: 2\r\n\r\nok"],
        differs=BOUNDED),
    Row("an endless header", [OK_LINE + b"x: " + LONG + LONG]),
    Row("too many headers", [OK_LINE + b"x: y\r\n" * 20_000 + b"\r\n"], differs=BOUNDED),
    Row("interim answers without end", [b"HTTP/1.1 102 Processing\r\nx: y\r\n\r\n"] * 5_000),
    Row("an endless chunk extension", [CHUNKED + b"2;", LONG + LONG]),
    Row("endless trailers", [CHUNKED + b"0\r\n" + b"x: y\r\n" * 40_000]),
    # framing that cannot be trusted (RFC 9112, 6.3)
    Row("content-length and chunked",
        [OK_LINE + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"], differs=STRICT),
    Row("chunked and content-length",
        [OK_LINE + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n"], differs=STRICT),
    Row("two content-lengths", [OK_LINE + b"content-length: 2\r\ncontent-length: 3\r\n\r\nok?"]),
    Row("the same content-length twice", [OK_LINE + b"content-length: 2\r\ncontent-length: 2\r\n\r\nok"],
        differs=STRICT),
    Row("a list of content-lengths", [OK_LINE + b"content-length: 2, 2\r\n\r\nok"], differs=STRICT),
    Row("a negative content-length", [OK_LINE + b"content-length: -2\r\n\r\nok"]),
    Row("a signed content-length", [OK_LINE + b"content-length: +2\r\n\r\nok"]),
    Row("an enormous content-length", [OK_LINE + b"content-length: 99999999999999999999999\r\n\r\nok"]),
    Row("an empty content-length", [OK_LINE + b"content-length:\r\n\r\nok"]),
    Row("transfer-encoding gzip", [OK_LINE + b"transfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"]),
    Row("chunked is not the last coding", [OK_LINE + b"transfer-encoding: chunked, gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n"]),
    Row("transfer-encoding identity", [OK_LINE + b"transfer-encoding: identity\r\n\r\nok"]),
    Row("chunked twice",
        [OK_LINE + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"]),
    Row("a chunk size of letters", [CHUNKED + b"xyz\r\nok\r\n0\r\n\r\n"]),
    Row("a negative chunk size", [CHUNKED + b"-2\r\nok\r\n0\r\n\r\n"]),
    Row("an enormous chunk size", [CHUNKED + b"fffffffffffffffff\r\nok\r\n0\r\n\r\n"]),
    Row("a chunk longer than its size", [CHUNKED + b"2\r\nokay\r\n0\r\n\r\n"]),
    Row("a space after the chunk size", [CHUNKED + b"2 \r\nok\r\n0\r\n\r\n"], differs=STRICT),
    Row("bare LF in the header block", [b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok"], differs=STRICT),
    Row("bare LF in the chunks", [CHUNKED + b"2\nok\n0\n\n"]),
    Row("a folded header", [OK_LINE + b"x: a\r\n b\r\ncontent-length: 2\r\n\r\nok"], differs=STRICT),
]  # fmt: skip


def script_of(row: Row) -> Script:
    """Answer the first request as the row says, and all later ones well."""
    answered = 0

    async def script(peer: Peer) -> None:
        nonlocal answered
        while await peer.request():
            answered += 1
            if answered > 1:
                await peer.send(OK)
                continue
            for data in row.wire:
                await peer.send(data)
                await asyncio.sleep(0)
            if not row.stays:
                return

    return script


async def read_by_hop(url: str, row: Row) -> Answered | None:
    hop = Hop(url)
    try:
        answered: Answered | None = None
        try:
            response = await hop.send(Call(method=row.method, target="/"))
            answered = Answered(response.status, response.headers, await response.body(2_000_000))
        except HostBroken:
            pass
        following = await hop.send(GET)
        assert await following.body(10) == b"ok"
        return answered
    finally:
        await hop.aclose()


async def read_by_httpx2(url: str, row: Row) -> Answered | None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        try:
            async with client.stream(row.method, url) as response:
                body = b"".join([piece async for piece in response.aiter_raw()])
        except httpx2.TransportError:
            return None
        return Answered(response.status_code, [(name.lower(), value) for name, value in response.headers.raw], body)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_hop_reads_what_httpx2_reads_and_the_next_request_works(row: Row) -> None:
    async with asyncio.timeout(10):
        async with serve(script_of(row)) as server:
            ours = await read_by_hop(server.url, row)
        async with serve(script_of(row)) as server:
            theirs = await read_by_httpx2(server.url, row)
    assert (None if ours is None else (ours.status, ours.body)) == (
        None if row.body is None else (row.status, row.body)
    )
    if row.differs:
        assert theirs != ours
    else:
        assert theirs == ours
