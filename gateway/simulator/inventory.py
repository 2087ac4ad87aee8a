"""What a host tells about itself and its models: tags, ps, show, version, status (wire.md 1.2, 1.10)."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gateway.simulator import names
from gateway.simulator.answers import JSON, Answer, Refusal, Whole, reply
from gateway.simulator.disk import STORE
from gateway.simulator.golang import timestamp
from gateway.simulator.host import Host
from gateway.simulator.incoming import SimulatedRequest
from gateway.simulator.model import SimulatedModel
from gateway.simulator.requests import read_show


class _Details(Struct, frozen=True, omit_defaults=True):
    parent_model: str
    format: str
    family: str
    families: list[str]
    parameter_size: str
    quantization_level: str
    context_length: int = 0
    embedding_length: int = 0


class _Show(Struct, frozen=True, omit_defaults=True, kw_only=True):
    license: str = ""
    modelfile: str
    parameters: str = ""
    template: str
    system: str = ""
    details: _Details
    messages: list[dict[str, str]] = []
    model_info: dict[str, Any]
    tensors: list[dict[str, Any]]
    capabilities: list[str]
    modified_at: str


def _details(host: Host, model: SimulatedModel, *, running: bool = False, sizes: bool = False) -> _Details:
    parent = model.parent or ("" if host.at_least(0, 30) else f"{STORE}/blobs/sha256-{model.weights}")
    return _Details(
        parent_model="" if running else parent,
        format="gguf",
        family=model.family,
        families=[model.family],
        parameter_size=model.parameter_size,
        quantization_level=model.quantization,
        context_length=model.context_length if sizes else 0,
        embedding_length=model.embedding_length if sizes else 0,
    )


async def root(_host: Host, _request: SimulatedRequest) -> Answer:
    """Answer the probe for life."""
    return Whole(headers=(("Content-Type", "text/plain; charset=utf-8"),), body=b"Ollama is running")


async def version(host: Host, _request: SimulatedRequest) -> Answer:
    """Answer which version runs."""
    return reply({"version": host.version})


async def status(_host: Host, _request: SimulatedRequest) -> Answer:
    """Answer that the cloud is switched off."""
    return reply({"cloud": {"disabled": True, "source": "env"}})


async def tags(host: Host, _request: SimulatedRequest) -> Answer:
    """Answer which models there are.

    Of a model of the native path the listing knows neither tools nor thinking: they come from its Jinja template.
    """
    models = []
    for model in host.models.values():
        hidden = ("tools", "thinking") if model.path == "native" else ()
        capabilities = [each for each in model.capabilities if each not in hidden]
        models.append(
            {
                "name": model.full_name.short,
                "model": model.full_name.short,
                "modified_at": timestamp(host.modified_at(model)),
                "size": model.size,
                "digest": model.digest,
                "details": _details(host, model, sizes=True),
                "capabilities": capabilities,
            }
        )
    return reply({"models": models})


async def ps(host: Host, _request: SimulatedRequest) -> Answer:
    """Answer which models are in memory, the one that stays longest first. One that is loading is not told."""
    models = [
        {
            "name": runner.model.full_name.short,
            "model": runner.model.full_name.short,
            "size": runner.model.size,
            "digest": runner.model.digest,
            "details": _details(host, runner.model, running=True),
            "expires_at": timestamp(int(runner.expires_at * 1e9)),
            "size_vram": int(runner.model.size * runner.model.gpu_share),
            "context_length": runner.options.num_ctx,
        }
        for runner in host.scheduler.resident()
    ]
    return reply({"models": models})


async def show(host: Host, request: SimulatedRequest) -> Answer:
    """Answer what one model is.

    Raises:
        Refusal: 400 or 404, as a real host refuses it.
    """
    asked = read_show(request.body)
    name = asked.model or asked.name
    parsed = names.parse(name)
    told = parsed.short if parsed is not None and host.at_least(0, 30) else name
    missing = Refusal(404, f"model '{told}' not found")
    model = host.require(name, empty=Refusal(400, "model is required"), missing=missing)
    system = asked.system or model.system
    answer = _Show(
        license="\n".join(model.licenses),
        modelfile=_modelfile(model, system),
        parameters="\n".join(f"{key:<30} {_go_value(value)}" for key, value in _parameters(model)),
        template=model.shown_template,
        system=system,
        details=_details(host, model),
        messages=[{"role": message.role, "content": message.content} for message in model.messages],
        model_info=_model_info(model),
        tensors=[{"name": "token_embd.weight", "type": "F16", "shape": [model.embedding_length, 32000]}],
        capabilities=list(model.capabilities),
        modified_at=timestamp(host.modified_at(model)),
    )
    whole = reply(answer)
    # A real answer is long, with all its tensors, and so goes in chunks.
    return Whole(headers=(("Content-Type", JSON),), body=whole.body, chunked=True)


def _parameters(model: SimulatedModel) -> list[tuple[str, Any]]:
    """Return the Modelfile's options one by one; a list is one entry each."""
    return [
        (name, each)
        for name, value in sorted(model.parameters.items())
        for each in (value if isinstance(value, list) else [value])
    ]


def _go_value(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def _modelfile(model: SimulatedModel, system: str) -> str:
    blobs = f"{STORE}/blobs/"
    lines = [
        '# Modelfile generated by "ollama show"',
        "# To build a new Modelfile based on this, replace FROM with:",
        f"# FROM {model.full_name.short}\n",
        f"FROM {blobs}sha256-{model.weights}",
        *([f"ADAPTER {blobs}{model.adapter.digest.replace(':', '-')}"] if model.adapter is not None else []),
        "TEMPLATE {{ .Prompt }}" if model.path == "native" else f'TEMPLATE """{model.shown_template}"""',
        *([f"SYSTEM {system}"] if system else []),
        *(["PARSER harmony"] if model.harmony else []),
        *(f"PARAMETER {name} {value}" for name, value in _parameters(model)),
        *(f"LICENSE {text}" for text in model.licenses),
        *(f"MESSAGE {message.role} {message.content}" for message in model.messages),
    ]
    return "\n".join(lines) + "\n"


def _model_info(model: SimulatedModel) -> dict[str, Any]:
    return {
        "general.architecture": model.family,
        "general.parameter_count": model.size // 2,
        f"{model.family}.context_length": model.context_length,
        f"{model.family}.embedding_length": model.embedding_length,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": None,
    }
