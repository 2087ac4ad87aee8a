"""An HTTP/1.1 answer, taken apart as it arrives: bytes go in, state comes out; no socket and no clock.

httptools (llhttp) reads strictly: it refuses lines that end with a bare LF, folded header lines, conflicting or
repeated framing headers (RFC 9112, 6.3: response smuggling), and malformed chunks. What it leaves to its user is done
here:

- the size of a header block, and of what stands between two pieces of a body;
- answers to HEAD, whose request the parser does not know, and bodies that end with the connection;
- protocols that it reads beside HTTP/1.x, and transfer codings other than chunked.
"""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from adapters.errors import HostBroken, HostError

_SENSELESS = "The host's answer is not proper HTTP. Something else may be listening there."
_TOO_LARGE = "The header block of the host's answer is too large."


class Answer:
    """One answer to one request. Not thread-safe, and of no use after its end.

    Attributes:
        status: The HTTP status, 200 to 599, when `head_complete`.
        headers: Lower-case names with their values in order, when `head_complete`.
        framed: Whether content-length or chunked says where the body ends; False when the connection's end does.
        pieces: What arrived of the body and was not taken yet.
        started: Whether any byte has arrived.
        head_complete: Whether the header block of the final answer is there.
        complete: Whether the whole answer is there.
        reusable: Whether the connection may be used for another request when `complete`.
        failure: Why the rest will never come.
    """

    __slots__ = (
        "_defect",
        "_header_bytes",
        "_max_header_bytes",
        "_parser",
        "_silent_bytes",
        "_to_head",
        "complete",
        "failure",
        "framed",
        "head_complete",
        "headers",
        "pieces",
        "reusable",
        "started",
        "status",
    )

    def __init__(self, method: str, max_header_bytes: int) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.framed = True
        self.pieces: list[bytes] = []
        self.started = False
        self.head_complete = False
        self.complete = False
        self.reusable = False
        self.failure: HostError | None = None
        self._to_head = method == "HEAD"
        self._max_header_bytes = max_header_bytes
        self._header_bytes = 0
        self._silent_bytes = 0  # since the last piece of the body
        self._defect = ""
        self._parser = HttpResponseParser(self)

    def feed(self, data: bytes | memoryview) -> None:
        """Take what arrived. It is copied, so the same memory may be used for what comes next.

        Raises:
            HostBroken: It is not an HTTP/1.x answer, or its header block is too large.
        """
        if not self.started:
            self.started = True
            if data[:1] != b"H":  # llhttp reads RTSP and ICE as well
                raise HostBroken(_SENSELESS, detail=f"the answer begins with {bytes(data[:64])!r}")
        self._silent_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as exc:
            if not self.complete:
                raise HostBroken(_SENSELESS, detail=self._defect or str(exc)) from exc
            self.reusable = False  # the nonsense follows a whole answer
        if self._defect:
            raise HostBroken(_SENSELESS, detail=self._defect)
        if self.complete:
            del self._parser  # it refers to the answer as the answer does to it
        elif max(self._silent_bytes, self._header_bytes) > self._max_header_bytes:
            raise HostBroken(_TOO_LARGE, detail=f"it is larger than {self._max_header_bytes} bytes")

    def feed_eof(self) -> None:
        """Take the end of the connection.

        Raises:
            HostBroken: The answer is not whole.
        """
        if not self.started:
            raise HostBroken("The host closed the connection without an answer.")
        if not self.head_complete or self.framed:
            raise HostBroken("The host closed the connection in the middle of its answer.")
        self.complete = True
        del self._parser

    def take(self) -> bytes:
        """Return what arrived of the body and was not taken yet."""
        pieces = self.pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return data

    # What follows is called by the parser, from within `feed`.

    def on_message_begin(self) -> None:
        """An answer begins: an interim one, the final one, or one that nobody asked for."""
        if self.complete:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header line, or a trailer; trailers are not used."""
        if not self.head_complete:
            self._header_bytes += len(name) + len(value) + 4
            self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """The end of a header block."""
        if self.head_complete or self._header_bytes > self._max_header_bytes:
            return  # `feed` refuses a block that is too large
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self.headers.clear()
            return
        self._defect = self._find_defect(status)
        if self._defect:
            return
        names = {name for name, _ in self.headers}
        self.framed = (
            b"content-length" in names or b"transfer-encoding" in names or self._to_head or status in (204, 304)
        )
        self.status = status
        self.reusable = self._parser.should_keep_alive()
        self.head_complete = True
        self.complete = self._to_head

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        if self.complete:  # a body after an answer to HEAD, or within an answer that nobody asked for
            self.reusable = False
        else:
            self._silent_bytes = 0
            self.pieces.append(piece)

    def on_message_complete(self) -> None:
        """The end of an answer, interim ones included."""
        if self.head_complete:
            self.complete = True

    def _find_defect(self, status: int) -> str:
        """Return what makes a header block unacceptable that the parser accepts, or an empty text."""
        version = self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            return f"HTTP version {version}"
        if not 200 <= status < 600:  # RFC 9110, 15: nothing else is one; our own server could not send it on
            return f"status {status}"
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if codings and codings != [b"chunked"]:
            return f"transfer-encoding {b', '.join(codings)!r}"
        return ""
