"""What a real Ollama said, of both versions; the files say how they were made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2] / "recordings"


class Recording(NamedTuple):
    name: str
    request: dict[str, Any]
    status: int
    body: bytes
    complete: bool


def recording(name: str) -> Recording:
    """Return one exchange, such as `0.24/chat-stream`."""
    exchange = json.loads((ROOT / f"{name}.json").read_text())
    answer = exchange["response"]
    lines = [item["text"].encode() for item in answer["body"]]
    is_stream = ["Content-Type", "application/x-ndjson"] in answer["headers"]
    body = b"".join(line + b"\n" for line in lines) if is_stream else b"".join(lines)
    return Recording(name, exchange["request"], answer["status"], body, answer["end"] == "complete")


def recordings(path: str, method: str = "POST") -> list[Recording]:
    """Return every exchange with a path, in the order of names."""
    names = [f"{file.parent.name}/{file.stem}" for file in sorted(ROOT.glob("*/*.json"))]
    found = [recording(name) for name in names]
    return [one for one in found if (one.request["method"], one.request["path"]) == (method, path)]


CHATS = [chat for chat in recordings("/api/chat") if chat.status == 200]
GENERATES = [one for one in recordings("/api/generate") if one.status == 200]
REFUSALS = [chat for chat in recordings("/api/chat") if chat.status != 200]
