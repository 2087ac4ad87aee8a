"""Create beyond the recordings: what is kept of a base, what files must be, and what is left when it is broken off."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.simulator import Message, SimulatedModel, Simulator, Unreachable, says
from gateway.simulator.disk import Blob
from gateway.simulator.faults import Cut
from tests.gateway.simulator.client import Received, ask, chat

BASE = SimulatedModel(
    name="base",
    speak=says("I am the base."),
    capabilities=("completion", "tools", "insert"),
    system="Be plain.",
    messages=(Message("user", "old"), Message("assistant", "yes"), Message("tool", "?")),
    parameters={"temperature": 0.5, "stop": ["x"]},
    licenses=("MIT",),
    quantization="F16",
    size=1000,
)
NATIVE = SimulatedModel(name="native", speak=says("hi"), path="native", capabilities=("completion", "tools"))
HARMONY = SimulatedModel(
    name="harmony", speak=says("hi"), harmony=True, capabilities=("completion", "tools", "thinking")
)
BARE = SimulatedModel(name="bare", speak=says("hi"), path="native")
AWAY = SimulatedModel(name="away", speak=says("I was pulled."), size=1000)

GGUF = "sha256:" + hashlib.sha256(b"GGUF").hexdigest()
TEXT = "sha256:" + hashlib.sha256(b"text").hexdigest()
NONE = "sha256:" + "0" * 64


@pytest.fixture
async def host() -> AsyncIterator[Simulator]:
    async with Simulator(models=[BASE, NATIVE, BARE, HARMONY], registry=[AWAY]) as simulator:
        simulator.stored |= {GGUF: Blob(4, b"GGUF"), TEXT: Blob(4, b"text")}
        yield simulator


async def create(host: Simulator, **body: Any) -> Received:
    return await ask(host.url, "POST", "/api/create", {"model": "made", **body})


async def show(host: Simulator, model: str = "made") -> dict[str, Any]:
    shown: dict[str, Any] = (await ask(host.url, "POST", "/api/show", {"model": model})).json
    return shown


def statuses(received: Received) -> list[str]:
    return [frame.get("status") or frame["error"] for frame in received.frames]


# --- from a model -----------------------------------------------------------------------------------------------------


async def test_what_is_not_given_stays_as_in_the_base(host: Simulator) -> None:
    await create(host, **{"from": "base"})
    made, base = await show(host), await show(host, "base")
    differ = {key for key in made | base if made.get(key) != base.get(key)}
    assert differ == {"modelfile", "details", "modified_at"}
    assert made["details"]["parent_model"] == "base:latest"
    assert (await chat(host.url, model="made")).frames[0]["message"]["content"] == "I"


async def test_what_is_given_takes_the_place_of_the_bases(host: Simulator) -> None:
    given = {
        "system": "Be kind.",
        "parameters": {"stop": ["y"], "num_ctx": 128},
        "messages": [{"role": "user", "content": "new"}, {"role": "assistant", "content": "yes"}],
        "license": ["BSD", "ISC"],
    }
    await create(host, **{"from": "BASE:latest"}, **given)
    made = await show(host)
    assert made["system"] == "Be kind."
    assert [line.split() for line in made["parameters"].splitlines()] == [
        ["num_ctx", "128"],
        ["stop", '"y"'],
        ["temperature", "0.5"],
    ]
    assert made["messages"] == given["messages"]
    assert made["license"] == "MIT\nBSD\nISC"
    prompt = (await ask(host.url, "POST", "/api/chat", {"model": "made", "messages": [{"role": "user", "content": "hi"}], "_debug_render_only": True})).json  # fmt: skip
    assert prompt["_debug_info"]["rendered_template"] == (
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nnew<|im_end|>\n<|im_start|>assistant\nyes<|im_end|>\n"
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    )


async def test_a_made_model_shares_the_weights_of_its_base(host: Simulator) -> None:
    await create(host, **{"from": "base", "system": "Be kind."})
    await chat(host.url, model="base")
    await chat(host.url, model="made")
    assert (host.loads, host.resident) == (1, ["base:latest"])


async def test_the_same_made_on_two_hosts_has_the_same_digest_and_another_has_not(host: Simulator) -> None:
    async with Simulator(models=[BASE]) as other:
        digests = []
        for place, system in ((host, "Be kind."), (other, "Be kind."), (other, "Be rude.")):
            await create(place, **{"from": "base", "system": system})
            models = (await ask(place.url, "GET", "/api/tags")).json["models"]
            digests += [model["digest"] for model in models if model["name"] == "made:latest"]
    assert digests[0] == digests[1] != digests[2]


CHATML = "<|im_start|>"

TEMPLATES = [
    ("base", "{{ .System }}|{{ .Prompt }}", ["completion"], "Be plain.|oldyes|hi"),
    ("base", "<{{- .Prompt -}} >{{ .Response }}!", ["completion"], "<old>yes!<hi>"),
    ("base", "{{ if .Tools }}{{ .Prompt }}{{ end }}{{ .Suffix }}", ["completion", "tools", "insert"], CHATML),
    ("native", "{{ .Prompt }}?", ["completion", "tools"], CHATML),
    ("bare", "{{ .Prompt }}?", ["completion"], "hi?"),
    ("harmony", "{{ .Prompt }}!", ["completion", "tools", "thinking"], "hi!"),
]


@pytest.mark.parametrize(("base", "template", "capabilities", "prompt"), TEMPLATES)
async def test_a_template_decides_what_a_model_can_and_how_it_is_asked(
    host: Simulator, base: str, template: str, capabilities: list[str], prompt: str
) -> None:
    await create(host, **{"from": base, "template": template})
    assert (await show(host))["capabilities"] == capabilities
    body = {"model": "made", "prompt": "hi", "_debug_render_only": True}
    rendered = (await ask(host.url, "POST", "/api/generate", body)).json["_debug_info"]["rendered_template"]
    assert rendered[: len(prompt) if prompt == CHATML else None] == prompt


async def test_a_base_that_is_not_here_is_pulled(host: Simulator) -> None:
    received = await create(host, **{"from": "away"})
    told = statuses(received)
    assert told[0] == "pulling manifest"
    assert told.count("success") == 2
    assert {"away:latest", "made:latest"} <= {model.full_name.short for model in host.models.values()}
    assert (await chat(host.url, model="made")).frames[2]["message"]["content"] == " pulled"


async def test_a_base_that_cannot_be_pulled(host: Simulator) -> None:
    host.registry.fail("away", Unreachable())
    for base in ("away", "nowhere"):
        received = await create(host, **{"from": base})
        assert statuses(received)[0] == "pulling manifest"
        assert statuses(received)[-1].startswith("pull model manifest: ")
    assert host.find("made") is None


async def test_a_pull_for_a_create_ends_with_its_client(host: Simulator) -> None:
    host.pull_seconds = 3600.0
    await ask(host.url, "POST", "/api/create", {"model": "made", "from": "away"}, most=2)
    await host.wait_idle()
    assert (host.requests[0].ended, host.downloading, host.find("made")) == ("cancelled", [], None)


@pytest.mark.parametrize("field", ["quantize", "quantization"])
async def test_quantization_makes_other_weights(host: Simulator, field: str) -> None:
    received = await create(host, **{"from": "base", field: "q4_k_m"})
    frames = [frame for frame in received.frames if frame["status"] == "quantizing F16 model to Q4_K_M"]
    assert [frame["completed"] for frame in frames] == [250, 500, 750, 1000]
    made = host.find("made")
    assert made is not None
    assert (made.quantization, made.size) == ("Q4_K_M", 303)
    assert made.weights != BASE.weights


@pytest.mark.parametrize(
    ("base", "to", "error"),
    [
        ("native", "q8_0", "quantization is only supported for F16, BF16 and F32 models"),
        ("base", "q5", "unsupported quantization type Q5 - supported types are F32, F16, Q4_K_S, Q4_K_M, Q8_0"),
    ],
)
async def test_what_cannot_be_quantized(host: Simulator, base: str, to: str, error: str) -> None:
    received = await create(host, **{"from": base, "quantize": to})
    assert (received.status, received.json) == (500, {"error": error})


async def test_quantization_to_what_it_is_changes_nothing(host: Simulator) -> None:
    received = await create(host, **{"from": "base", "quantize": "f16"})
    assert not any(status.startswith("quantizing") for status in statuses(received))


async def test_a_create_that_is_broken_off_leaves_no_model(host: Simulator) -> None:
    host.script(Cut(2, end="reset", path="/api/create"))
    assert (await create(host, **{"from": "base"})).ended == "reset"
    await host.wait_idle()
    assert host.find("made") is None


# --- from files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["0.24.0", "0.33.0"])
@pytest.mark.parametrize("path", ["a.gguf", "dir/weights"])
async def test_a_file_of_weights_becomes_a_model(version: str, path: str) -> None:
    async with Simulator(version=version) as host:
        host.stored[GGUF] = Blob(4, b"GGUF")
        received = await create(host, files={path: GGUF.replace(":", "-")}, system="Be new.", stream=False)
        assert received.json == {"status": "success"}
        shown = await show(host)
        assert f"FROM /usr/share/ollama/.ollama/models/blobs/{GGUF.replace(':', '-')}\n" in shown["modelfile"]
        assert (shown["template"], shown["capabilities"]) == ("{{ .Prompt }}", ["completion"])
        assert (await chat(host.url, "hello", model="made")).frames[0]["done"] is False


async def test_an_adapter_is_told(host: Simulator) -> None:
    received = await create(host, **{"from": "base", "adapters": {"a.gguf": GGUF}})
    assert statuses(received)[0] == "parsing GGUF"
    assert f"using existing layer {GGUF}" in statuses(received)
    assert (
        f"ADAPTER /usr/share/ollama/.ollama/models/blobs/{GGUF.replace(':', '-')}\n" in (await show(host))["modelfile"]
    )


FILES = [
    ({"files": {"a.gguf": GGUF, "b.gguf": NONE}}, 500, f"open /usr/share/ollama/.ollama/models/blobs/{NONE.replace(':', '-')}: no such file or directory"),
    ({"files": {"a.gguf": TEXT}}, 400, "supplied file was not in GGUF format"),
    ({"files": {"a.gguf": "sha256:12"}}, 500, "invalid digest format"),
    ({"files": {"a.txt": TEXT}}, 400, "unknown type"),
    ({"files": {}}, 400, "unknown type"),
    ({"files": {"a.gguf": ""}}, 400, "invalid digest format"),
    ({"files": {"../a.gguf": GGUF}}, 400, "file path must be relative"),
    ({"files": {"/a.gguf": GGUF}}, 400, "file path must be relative"),
    ({"files": {"a//b.gguf": GGUF}}, 400, "file path must be relative"),
    ({"files": [GGUF]}, 400, "json: cannot unmarshal array into Go struct field CreateRequest.files of type map[string]string"),
    ({"files": {"a.gguf": 1}}, 400, "json: cannot unmarshal number into Go struct field CreateRequest.files of type string"),
    ({"from": "base", "adapters": {"a.gguf": GGUF, "b.gguf": GGUF}}, 400, "only one adapter is currently supported"),
    ({"from": "base", "adapters": {}}, 400, "unknown type"),
    ({"from": "base", "adapters": {"a.gguf": NONE}}, 400, f"open /usr/share/ollama/.ollama/models/blobs/{NONE.replace(':', '-')}: no such file or directory"),
    ({"from": "base", "adapters": {"a.gguf": ""}}, 400, "invalid digest format"),
    ({"from": "base", "license": 1}, 500, "json: cannot unmarshal number into Go value of type []string"),
    ({"from": "base", "license": ["a", {}]}, 500, "json: cannot unmarshal object into Go value of type string"),
    ({"from": "base", "parameters": []}, 400, "json: cannot unmarshal array into Go struct field CreateRequest.parameters of type map[string]interface {}"),
    ({"from": "base", "messages": [{"role": 1}]}, 400, "json: cannot unmarshal number into Go struct field CreateRequest.messages.role of type string"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "error"), FILES)
async def test_what_no_model_can_be_made_of(host: Simulator, body: dict[str, Any], status: int, error: str) -> None:
    whole = await create(host, **body, stream=False)
    assert (whole.status, whole.json) == (status, {"error": error})
    lines = await create(host, **body)
    assert lines.frames[-1] == {"error": error}
    assert host.find("made") is None


async def test_an_empty_license_is_none(host: Simulator) -> None:
    await create(host, **{"from": "base", "license": ""})
    assert (await show(host))["license"] == "MIT"
