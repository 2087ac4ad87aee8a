"""A host that answers as Ollama does, as cheaply as it can, so that a run measures what stands in front of it.

Every answer is made before the first request. Each token is one chunk in one write of its own, as Ollama sends it.
"""

from __future__ import annotations

import argparse
import asyncio
import select
import selectors
from collections.abc import Iterator, Sequence
from itertools import cycle, islice

import httptools
import msgspec
from msgspec import Raw, Struct

from benchmarks.vectors import vectors

WORDS = (" the", " quick", " brown", " fox", " jumps", " over", " a", " lazy", " dog", " and", " then")
"""The tokens of every answer, over and over. By its space each is found in what a gateway makes of it."""

_MOMENT = "2026-11-23T04:00:00.123456789Z"
_DIGEST = "a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72"
_DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "llama",
    "families": ["llama"],
    "parameter_size": "3.2B",
    "quantization_level": "Q4_K_M",
}


class Script(Struct, frozen=True):
    """How a model answers.

    Attributes:
        model: The model's name.
        tokens: How many tokens its answers have.
        interval: Seconds from one token to the next.
    """

    model: str
    tokens: int
    interval: float = 0.0

    def __str__(self) -> str:
        return f"{self.model}={self.tokens}@{self.interval}"

    @classmethod
    def parse(cls, text: str) -> Script:
        """Read `NAME=TOKENS` or `NAME=TOKENS@SECONDS`.

        Raises:
            ValueError: It is neither.
        """
        model, _, rest = text.rpartition("=")
        tokens, _, interval = rest.partition("@")
        return cls(model, int(tokens), float(interval or 0))


def words(tokens: int) -> tuple[str, ...]:
    """Return the tokens of an answer."""
    return tuple(islice(cycle(WORDS), tokens))


class _Asked(Struct):
    model: str
    stream: bool = True
    input: list[Raw] = []


_decode = msgspec.json.Decoder(_Asked).decode
_encode = msgspec.json.encode


class _Answers:
    """The bytes of every answer."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        models = [_listed(script.model) for script in scripts]
        self.fixed = {
            b"/api/version": _whole({"version": "0.33.1"}),
            b"/api/tags": _whole({"models": models}),
            b"/api/ps": _whole({"models": [model | _RESIDENT for model in models]}),
            b"/api/show": _whole(_SHOWN),
        }
        self.whole = {script.model: _whole(_last(script, "".join(words(script.tokens)))) for script in scripts}
        self.streams = {script.model: _stream(script) for script in scripts}
        self.intervals = {script.model: script.interval for script in scripts}
        self.vectors = _batches(vectors())
        self.unknown = _whole({"error": "not found"}, "404 Not Found")


_RESIDENT = {"expires_at": "2318-01-01T00:00:00Z", "size_vram": 3_333_333_333, "context_length": 8192}
_SHOWN = {
    "modelfile": "FROM llama3.2",
    "template": "{{ .Prompt }}",
    "details": _DETAILS,
    "model_info": {"general.architecture": "llama", "llama.context_length": 131_072, "llama.embedding_length": 3072},
    "capabilities": ["completion", "tools", "embedding"],
    "modified_at": _MOMENT,
}


def _listed(model: str) -> dict[str, object]:
    return {
        "name": model,
        "model": model,
        "modified_at": _MOMENT,
        "size": 2_019_393_189,
        "digest": _DIGEST,
        "details": _DETAILS,
    }


def _line(script: Script, text: str, *, done: bool) -> dict[str, object]:
    message = {"role": "assistant", "content": text}
    return {"model": script.model, "created_at": _MOMENT, "message": message, "done": done}


def _last(script: Script, text: str) -> dict[str, object]:
    return _line(script, text, done=True) | {
        "done_reason": "stop",
        "total_duration": 1_234_567_890,
        "load_duration": 123_456_789,
        "prompt_eval_count": 44,
        "prompt_eval_duration": 45_678_901,
        "eval_count": script.tokens,
        "eval_duration": 654_321_098,
    }


def _whole(answer: object, status: str = "200 OK") -> bytes:
    body = _encode(answer)
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n"


def _stream(script: Script) -> tuple[bytes, ...]:
    """Return an answer's writes: the first token with the headers, the other tokens, the last line with the end."""
    lines = [_line(script, word, done=False) for word in words(script.tokens)]
    head, *tokens, last = [_chunk(_encode(line) + b"\n") for line in [*lines, _last(script, "")]]
    return _CHUNKED % b"application/x-ndjson" + head, *tokens, last + _chunk(b"")


def _batches(vectors: Sequence[Raw]) -> list[bytes]:
    """Return the answers with no vector, the first one, the first two, and so on, each in one chunk as Go sends it."""
    account = {"total_duration": 234_567_890, "load_duration": 1_234_567}
    answers = [
        {"model": "vectors", "embeddings": vectors[:count], **account, "prompt_eval_count": 64 * count}
        for count in range(len(vectors) + 1)
    ]
    return [_CHUNKED % b"application/json; charset=utf-8" + _chunk(_encode(answer)) + _chunk(b"") for answer in answers]


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class _Connection(asyncio.Protocol):
    """One connection; it reads a request and writes the answer that was made for it."""

    def __init__(self, answers: _Answers, loop: asyncio.AbstractEventLoop) -> None:
        self._answers = answers
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._path = self._body = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_url(self, url: bytes) -> None:
        self._path, self._body = url, b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._path not in (b"/api/chat", b"/api/embed"):
            self._transport.write(self._answers.fixed.get(self._path, self._answers.unknown))
            return
        asked = _decode(self._body)
        if self._path == b"/api/embed":
            self._transport.write(self._answers.vectors[len(asked.input)])
            return
        interval = self._answers.intervals.get(asked.model, 0.0)
        if asked.model not in self._answers.whole:
            self._transport.write(self._answers.unknown)
        elif asked.stream:
            self._write_next(iter(self._answers.streams[asked.model]), interval, self._loop.time())
        else:
            self._transport.write(self._answers.whole[asked.model])

    def _write_next(self, pieces: Iterator[bytes], interval: float, due: float) -> None:
        for piece in pieces:
            if self._transport.is_closing():
                return
            self._transport.write(piece)
            if interval:
                due += interval
                self._timer = self._loop.call_at(due, self._write_next, pieces, interval, due)
                return


class _Selector(selectors.DefaultSelector):
    """Wakes to the microsecond.

    A plain one rounds up to milliseconds. Tokens of different streams, which have nothing to do with each other, would
    arrive together, and a gateway would read them more cheaply than it can with a real host.
    """

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout:
            select.select([self.fileno()], [], [], timeout)
            timeout = 0
        return super().select(timeout)


def new_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop that a host runs in.

    It is asyncio's own: uvloop joins the writes of one turn into one.
    """
    return asyncio.SelectorEventLoop(_Selector())


async def listen(scripts: Sequence[Script], port: int = 0) -> asyncio.Server:
    """Serve on loopback.

    Args:
        scripts: The models, and how they answer.
        port: Where to listen; any free port when 0.
    """
    loop, answers = asyncio.get_running_loop(), _Answers(scripts)
    return await loop.create_server(lambda: _Connection(answers, loop), "127.0.0.1", port, backlog=4096)


async def _serve(scripts: Sequence[Script], port: int) -> None:
    server = await listen(scripts, port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve until killed. The port is printed when the host listens."""
    parser = argparse.ArgumentParser("python -m benchmarks.host", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="where to listen on 127.0.0.1 (any free port)")
    parser.add_argument(
        "--model", type=Script.parse, action="append", required=True, metavar="NAME=TOKENS[@SECONDS]",
        help="a model, the tokens of its answers, and the seconds from one to the next; may be given again",
    )  # fmt: skip
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_serve(options.model, options.port))


if __name__ == "__main__":
    main()
