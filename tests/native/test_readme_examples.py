"""The examples of the client's usual reference, run as they stand: only the environment names the gateway and the key."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec.structs import replace

from gateway.simulator import Registry, Simulator, demo, named
from tests.e2e.programs import run
from tests.gateway.simulator.tiny import tiny_chat
from tests.native.conftest import ALICE, KEYS
from tests.running import HostSettings, Running, running

EXAMPLES = Path(__file__).parent / "examples"

GREETING = "This is the demo model of ollama-gateway: a simulation, not a language model."
BLUE = f"{GREETING} You said: Why is the sky blue?"
LOOK = f"{GREETING} You sent 1 image, which I do not look at. You said: explain this image"

OLD = named("llama3.2")
NEW = (*named("llama3.2", "llava"), replace(tiny_chat, name="codellama:7b-code"))
JINJA = (
    *named("llama3.2", "nomic-embed-text"),
    replace(demo, name="qwen3", path="native"),
    replace(demo, name="llama3.1:405b", load_error="model requires more system memory (231.3 GiB) than is available"),
)
REGISTRY = tuple(replace(model, size=1_000_000) for model in named("mistral", "does-not-yet-exist"))

PULLED = ["pulling manifest", "verifying sha256 digest", "writing manifest", "success"]

OUTPUT = {
    "chat": [BLUE, BLUE],
    "chat_stream": [BLUE],
    "chat_history": [f"4 {GREETING} You said: And at night?"],
    "chat_async": [BLUE, BLUE],
    "tools": [
        "Calling function: add_two_numbers",
        r"Arguments: {'a': \d+, 'b': \d+}",
        rf"Final response: {re.escape(GREETING)} The tool add_two_numbers said: \d+",
    ],
    "structured": [r"friends=\[.*\]"],
    "generate": [BLUE, BLUE],
    "generate_images": [LOOK] * 4,
    "generate_suffix": ["    return a \\+ b"],
    "generate_context": ["True True"],
    "generate_raw": ["Hello from the tiny model: café, 日本語 🙂 and goodbye. None"],
    "embed": [r"2 {64} True"],
    "pull_percent": [*PULLED, *["True 100.0"] * 3],
    "pull_bar": [*PULLED, "True 3"],
    "push": ["success", "retrieving manifest success"],
    "create_modelfile": ["{'status': 'success'}"],
    "create_from": ["success", "success"],
    "models": [
        r"(?=.*\bllama3\.2:latest\b)(?=.*\bllava:latest\b)(?=.*\bnomic-embed-text:latest\b)(?=.*\bqwen3:latest\b).*",
        r"llama \['completion', 'tools', 'vision', 'embedding'\] True True",
        "success",
        "True",
        "success",
        "False",
        r".*\bllama3\.2:latest\b.*",
    ],
    "custom_host": [BLUE],
    "asgi_app": [f"{GREETING} You said: question {number}" for number in range(4)],
    "openai_client": [BLUE],
    "errors": [
        "Error: model 'does-not-yet-exist' not found",
        "Pulling: success",
        f"{GREETING} You said: Hello!",
        r'400 {"error":{"code":400,"message":"request \(\d+ tokens\) exceeds the available context size .*',
        r"500 model requires more system memory \(231\.3 GiB\) than is available",
        r"Failed to connect to Ollama\. .*",
    ],
}
"""What each example prints: a pattern for each line."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[Running]:
    """A gateway in front of three hosts: one of them old, and not all with the same models."""
    registry = Registry(*REGISTRY)
    async with (
        Simulator(models=OLD, registry=registry, version="0.24.0") as old,
        Simulator(models=NEW, registry=registry, version="0.33.0") as new,
        Simulator(models=JINJA, registry=registry, version="0.33.0") as jinja,
    ):
        named_hosts = {"old": old, "new": new, "jinja": jinja}
        hosts = [HostSettings(url=host.url, name=name, parallel=4) for name, host in named_hosts.items()]
        async with running(*hosts, keys=KEYS) as gateway:
            yield gateway


def test_every_example_is_run() -> None:
    assert {example.stem for example in EXAMPLES.glob("*.py")} == set(OUTPUT)


@pytest.mark.parametrize("example", OUTPUT)
@pytest.mark.asyncio(loop_scope="module")
async def test_an_example(gateway: Running, tmp_path: Path, example: str) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(250, 256)) * 5)
    # An example leaves it to the end of its process to close connections.
    python = (sys.executable, "-W", "error", "-W", "ignore::ResourceWarning")
    program = (*python, str(EXAMPLES / f"{example}.py"), str(picture))
    status, out, err = await run(*program, OLLAMA_HOST=gateway.url, OLLAMA_API_KEY=ALICE)

    assert (status, err) == (0, "")
    # Which of the hosts is done first is told, and is different each time.
    lines = [line for line in out.splitlines() if not re.fullmatch("(old|new|jinja): success", line)]
    assert len(lines) == len(OUTPUT[example]), out
    for line, pattern in zip(lines, OUTPUT[example], strict=True):
        assert line == pattern or re.fullmatch(pattern, line), line
