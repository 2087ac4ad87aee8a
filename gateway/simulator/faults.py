"""What can go wrong between a gateway and its host, on order: a closed set of values, carried out in `transmit`.

===========================================  =================================================================
what a client sees                           the fault
===========================================  =================================================================
the connection is refused                    none: `await simulator.kill()`
the connection is reset when it is made      `Reset()`
nothing comes                                `Hang()`
headers come, then nothing                   `Cut(end="hang")`
reset after three lines                      `Cut(3, end="reset")`
reset in the middle of the fourth line       `Cut(3, inside="line", end="reset")`
the same, within a UTF-8 character           `Cut(3, inside="character", end="reset")`
half of the fourth line, then nothing        `Cut(3, inside="line", end="hang")`
connection closed, chunked body not ended    `Cut(3, end="close")`
body ended as it should, no `done` line      `Cut(3, end="finish")`
no chunks: the body ends with the connection `UntilClose()`
one byte at a time                           `Drip(0.01)`
the model's process dies after three pieces  `Fail(3)`: an error line, or status 500
an error line after three lines              `error_line(3, "…")`
a line that is not JSON, or of a wrong shape `Inject(3, b"oops")`
a line of 20 MB                              `huge_line(3, megabytes=20)`
an error status                              `refusal(500, "…")`, `out_of_memory()`, `busy()`, `missing("x")`
an error status without a body               `forbidden()`, `Reply(…)` for any other
an error of llama-server, JSON within JSON   `too_long()`
an empty body with status 200                `Reply()`
a redirect                                   `redirect("http://…")`
huge headers                                 `huge_headers(100_000)`
something that is not HTTP                   `Raw(b"…")`
a content-length that promises too much      `short_body()`
===========================================  =================================================================
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Literal, TypedDict, Unpack

from msgspec import Struct

from gateway.simulator.answers import JSON, Answer, Refusal, Whole, nested, refuse
from gateway.simulator.golang import encode
from gateway.simulator.wire import Parts, parts_of

End = Literal["keep", "close", "reset", "hang"]
"""What becomes of a connection: it serves the next request, is closed, is reset, or stays open and silent."""


class _Ordered(Struct, frozen=True, kw_only=True):
    """What all faults have in common.

    Attributes:
        path: The path that it is for, or the route, such as `/api/blobs/:digest`; None for any.
        times: How many requests it is for; None until `Simulator.heal`.
    """

    path: str | None = None
    times: int | None = 1


class Reset(_Ordered, frozen=True):
    """Reset a connection as soon as it is made. It counts connections, and `path` means nothing."""


class Hang(_Ordered, frozen=True):
    """Take the request and never answer."""


class Reply(_Ordered, frozen=True):
    """Send a well-formed answer in place of the real one; by default an empty body with status 200."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


class Raw(_Ordered, frozen=True):
    """Send bytes in place of an HTTP answer."""

    data: bytes
    end: End = "close"


class Cut(_Ordered, frozen=True):
    """Let the real answer begin, and break it.

    Attributes:
        lines: How many whole lines are sent; a body that is no stream is one line. An answer with fewer is not broken.
        inside: What is broken: nothing, the next line in its middle, or a character of the next line that has one of
            several bytes.
        end: What follows; `finish` ends the body as if it were whole.
    """

    lines: int = 0
    inside: Literal["nothing", "line", "character"] = "nothing"
    end: Literal["close", "reset", "hang", "finish"] = "reset"


class Inject(_Ordered, frozen=True):
    """Send something of one's own between the lines of the real answer.

    Attributes:
        lines: After how many lines.
        data: What is sent, with its line feed if it has one.
        last: Whether the answer ends with it, as it should end.
    """

    lines: int
    data: bytes
    last: bool = False


class UntilClose(_Ordered, frozen=True):
    """Send the real answer without chunks or a length: its end is the end of the connection."""


class Drip(_Ordered, frozen=True):
    """Send the real answer one byte at a time.

    Attributes:
        seconds: The time between two bytes.
    """

    seconds: float = 0.0


class Fail(_Ordered, frozen=True):
    """Let a generation fail in the runner. Its model is out of memory then, as after a crash.

    It is for requests that run a model; others leave it for those. Before the first piece it is an error status, after
    it an error line, or an error status when the answer was to come whole (wire.md 2).

    Attributes:
        after: How many pieces of the answer come before.
        error: The error's text.
        status: The status when nothing has been sent.
    """

    after: int = 0
    error: str = "an error was encountered while running the model: unexpected EOF"
    status: int = 500


Fault = Reset | Hang | Reply | Raw | Cut | Inject | UntilClose | Drip | Fail

# --- values that are often wanted -------------------------------------------------------------------------------------


class Where(TypedDict, total=False):
    """What a fault is for: see `path` and `times` of each."""

    path: str | None
    times: int | None


def refusal(status: int, words: str, **where: Unpack[Where]) -> Reply:
    """Return an error in Ollama's form."""
    return Reply(status, refuse(Refusal(status, words)).body, **where)


def out_of_memory(**where: Unpack[Where]) -> Reply:
    """Return the answer of a host whose memory does not hold the model."""
    return refusal(500, "model requires more system memory (9.1 GiB) than is available (5.2 GiB)", **where)


def busy(**where: Unpack[Where]) -> Reply:
    """Return the answer of a host whose queue is full."""
    return refusal(503, "server busy, please try again.  maximum pending requests exceeded", **where)


def forbidden(**where: Unpack[Where]) -> Reply:
    """Return the answer to a Host or Origin header that a host does not take: a status and no body."""
    return Reply(403, **where)


def missing(model: str, **where: Unpack[Where]) -> Reply:
    """Return the answer of a host that does not have the model."""
    return refusal(404, f"model '{model}' not found", **where)


def too_long(*, tokens: int = 5000, context: int = 4096, **where: Unpack[Where]) -> Reply:
    """Return llama-server's refusal of a long prompt, whose JSON is the error's text."""
    words = f"request ({tokens} tokens) exceeds the available context size ({context} tokens), try increasing it"
    inner = nested(400, words, "exceed_context_size_error", n_prompt_tokens=tokens, n_ctx=context)
    return refusal(400, inner.text, **where)


def redirect(location: str, **where: Unpack[Where]) -> Reply:
    """Return a redirect."""
    return Reply(307, headers=(("Location", location),), **where)


def huge_headers(size: int, **where: Unpack[Where]) -> Reply:
    """Return an answer with so many bytes of headers."""
    return Reply(headers=(("X-Huge", "x" * size),), **where)


def short_body(*, promised: int = 1000, **where: Unpack[Where]) -> Raw:
    """Return an answer with less than its content-length promises."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nContent-Length: {promised}\r\n\r\n"
    return Raw(head.encode() + b'{"model":"x"', **where)


def error_line(after: int, error: str, **where: Unpack[Where]) -> Inject:
    """Return an error line after some lines; it is the last."""
    return Inject(after, encode({"error": error}) + b"\n", last=True, **where)


def huge_line(after: int, *, megabytes: float, **where: Unpack[Where]) -> Inject:
    """Return one good line of a chat with very much text, after some lines."""
    message = {"role": "assistant", "content": "x" * int(megabytes * 1_000_000)}
    return Inject(after, encode({"model": "x", "message": message, "done": False}) + b"\n", **where)


# --- carrying them out ------------------------------------------------------------------------------------------------


def replaces(fault: Fault | None) -> bool:
    """Tell whether the real answer is not needed, so that the request has no effect."""
    return isinstance(fault, Hang | Reply | Raw)


async def transmit(
    answer: Answer, method: str, fault: Fault | None, *, keep_alive: bool
) -> AsyncGenerator[bytes | End, None]:
    """Yield what goes over the wire for an answer, and last what becomes of the connection.

    Args:
        answer: The real answer; of no account to faults that replace it.
        method: The request's method.
        fault: What is to go wrong.
        keep_alive: Whether the client lets the connection stay open.
    """
    match fault:
        case Hang():
            yield "hang"
            return
        case Raw():
            yield fault.data
            yield fault.end
            return
        case Reply():
            content_type = (("Content-Type", fault.content_type),) if fault.body else ()
            answer = Whole(status=fault.status, headers=(*content_type, *fault.headers), body=fault.body)
    until_close = isinstance(fault, UntilClose)
    parts = parts_of(answer, method, keep_alive=keep_alive, until_close=until_close)
    pause = fault.seconds if isinstance(fault, Drip) else None
    end: End = "keep" if keep_alive and not until_close else "close"
    async for step in _body(parts, fault):
        if not isinstance(step, bytes):
            end = step
        elif pause is None:
            yield step
        else:
            for byte in step:
                yield bytes([byte])
                await asyncio.sleep(pause)
    yield end


async def _body(parts: Parts, fault: Fault | None) -> AsyncGenerator[bytes | End, None]:
    """Yield the head and the framed body, broken or with something put in; last an end other than the usual."""
    yield parts.head
    count = 0
    while True:
        line = await anext(parts.lines, b"")
        if isinstance(fault, Cut) and count >= fault.lines and (place := _place(line, fault)) is not None:
            if fault.end == "finish":
                if place:
                    yield parts.frame(line[:place])
                break
            framed = parts.frame(line)
            if place:
                yield framed[: framed.index(line) + place]
            yield fault.end
            return
        if isinstance(fault, Inject) and count == fault.lines:
            yield parts.frame(fault.data)
            if fault.last:
                break
        if not line:
            break
        yield parts.frame(line)
        count += 1
    yield parts.end


def _place(line: bytes, fault: Cut) -> int | None:
    """Return where a line is cut; None when it has no such place. After the last line comes an empty one."""
    match fault.inside:
        case "nothing":
            return 0
        case "line":
            return len(line) // 2 or None
        case "character":
            return next((place for place, byte in enumerate(line) if byte & 0xC0 == 0x80), None)
