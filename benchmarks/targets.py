"""What can be measured: the gateway, and nginx as the scale."""

from __future__ import annotations

import json
import secrets
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from benchmarks.host import Script, words
from benchmarks.load import Question
from benchmarks.processes import LOOPBACK
from benchmarks.vectors import INPUTS, texts

_MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant."},
    {
        "role": "user",
        "content": "What is the capital of France, and what is it best known for? Answer in one paragraph.",
    },
]


class Dialect(Struct, frozen=True):
    """How one asks, and how a right answer ends.

    Attributes:
        path: Where chat requests go.
        stream_end, whole_end: What stands at the end of a right answer, streamed or not, and nowhere else.
        vectors_path: Where requests for vectors go.
        vector: What stands with each vector.
        vectors: How often that stands in a right answer.
        vectors_end: What stands at the end of a right answer with vectors, and nowhere else.
    """

    path: bytes
    stream_end: bytes
    whole_end: bytes
    vectors_path: bytes
    vector: bytes
    vectors: int
    vectors_end: bytes

    def question(self, script: Script, *, stream: bool, headers: bytes = b"") -> Question:
        """Return a short chat request, and how its answer is checked.

        Args:
            script: The model that is asked, and how it answers.
            stream: Whether the answer is a stream.
            headers: More headers, as they stand in a request.
        """
        body = {"model": script.model, "stream": stream, "temperature": 0.2, "messages": _MESSAGES}
        request = _post(self.path, headers, body)
        if stream:
            return Question(request, b'"content":" ', script.tokens, self.stream_end)
        return Question(request, b'"content":"%b"' % "".join(words(script.tokens)).encode(), 1, self.whole_end)

    def vectors_question(self, script: Script, encoding: str, *, headers: bytes = b"") -> Question:
        """Return a request for vectors, and how its answer is checked.

        Args:
            script: The model that is asked.
            encoding: How the numbers are wanted, where the dialect leaves a choice: `float` or `base64`.
            headers: More headers, as they stand in a request.
        """
        body = {"model": script.model, "input": texts(), "encoding_format": encoding}
        return Question(_post(self.vectors_path, headers, body), self.vector, self.vectors, self.vectors_end)


def _post(path: bytes, headers: bytes, content: object) -> bytes:
    body = json.dumps(content).encode()
    head = b"POST %b HTTP/1.1\r\nhost: bench\r\n%bcontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (path, headers, len(body)) + body


OPENAI = Dialect(
    b"/v1/chat/completions",
    stream_end=b"data: [DONE]\n\n",
    whole_end=b'"finish_reason":"stop"',
    vectors_path=b"/v1/embeddings",
    vector=b'"embedding":',
    vectors=INPUTS,
    vectors_end=b'"total_tokens"',
)
NATIVE = Dialect(
    b"/api/chat",
    stream_end=b'"done":true',
    whole_end=b'"done":true',
    vectors_path=b"/api/embed",
    vector=b"]",  # `],` takes four times as long to find, and a caller that is slow makes the gateway wait
    vectors=INPUTS + 1,  # and the list's own
    vectors_end=b'"prompt_eval_count"',
)


class Target(ABC):
    """Something between callers and a host.

    Attributes:
        name: Its name in the table.
        ready: The path that answers with 200 when it is ready.
        dialect: What callers speak.
        headers: What each request carries besides, as it stands there.
    """

    name: str
    ready: str
    dialect: Dialect
    headers: bytes = b""

    @abstractmethod
    def prepare(self, directory: Path, port: int, host: int) -> Sequence[str]:
        """Write what it needs into a directory of its own, and return its command line.

        Args:
            directory: Empty, and gone afterwards.
            port: Where it is to listen on loopback.
            host: The port of the host behind it.
        """

    def question(self, script: Script, *, stream: bool, dialect: Dialect | None = None) -> Question:
        """Return a short chat request to it, in its own dialect or in another, and how its answer is checked."""
        return (dialect or self.dialect).question(script, stream=stream, headers=self.headers)

    def vectors_question(self, script: Script, encoding: str, *, dialect: Dialect | None = None) -> Question:
        """Return a request for vectors to it, and how its answer is checked."""
        return (dialect or self.dialect).vectors_question(script, encoding, headers=self.headers)


class Gateway(Target):
    """The gateway with what one runs it with: keys, routing between two hosts, metrics, and a JSON log into a file."""

    name = "gateway"
    ready = "/readyz"
    dialect = OPENAI

    def __init__(self) -> None:
        self._keys = {name: secrets.token_hex(24) for name in ("alice", "bob")}
        self.headers = f"authorization: Bearer {self._keys['bob']}\r\n".encode()

    def prepare(self, directory: Path, port: int, host: int) -> Sequence[str]:
        # Two names of one host: routing has a choice, and the machine has one process less to run.
        urls = {"first": f"http://{LOOPBACK}:{host}", "second": f"http://localhost:{host}"}
        settings = {
            "listen": f"{LOOPBACK}:{port}",
            "hosts": [{"url": url, "name": name, "parallel": 1000} for name, url in urls.items()],
            "keys": [{"name": name, "secret": secret} for name, secret in self._keys.items()],
            "log": "json",
            "grace": 1,
        }
        config = directory / "config.yaml"
        config.write_text(json.dumps(settings))  # JSON is YAML
        return [str(Path(sys.executable).with_name("ollama-gateway")), "serve", "--config", str(config)]


class Nginx(Target):
    """nginx with one worker, no log and no buffering passes on what the host says: about the least a hop can cost."""

    name = "nginx"
    ready = "/api/version"
    dialect = NATIVE

    @staticmethod
    def command() -> str | None:
        """Return nginx' path, if it is installed; Debian keeps it where users do not look."""
        return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")

    def prepare(self, directory: Path, port: int, host: int) -> Sequence[str]:
        temporary = "\n".join(
            f"  {kind}_temp_path {directory / kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (directory / "nginx.conf").write_text(
            f"""daemon off;
worker_processes 1;
pid {directory / "nginx.pid"};
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
{temporary}
  access_log off;
  keepalive_requests 1000000000;
  upstream host {{ server {LOOPBACK}:{host}; keepalive 1024; keepalive_requests 1000000000; }}
  server {{
    listen {LOOPBACK}:{port} backlog=4096;
    location / {{
      proxy_pass http://host;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""
        )
        command = self.command()
        assert command is not None
        return [command, "-e", "stderr", "-p", str(directory), "-c", str(directory / "nginx.conf")]
