"""What model comes out of a `create`: decisions without effect (wire.md 1.11)."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from msgspec.structs import replace

from gateway.simulator import templates
from gateway.simulator.answers import Refusal
from gateway.simulator.demo import demo
from gateway.simulator.management_requests import CreateRequest
from gateway.simulator.model import Layer, SimulatedModel, layer_of
from gateway.simulator.readers import kind

_BITS = {"F32": 32.0, "F16": 16.0, "BF16": 16.0, "Q4_K_S": 4.6, "Q4_K_M": 4.85, "Q8_0": 8.5}
"""How many bits a weight has in each quantization that can be asked for."""

_TOLD = "F32, F16, Q4_K_S, Q4_K_M, Q8_0"
_FULL = ("F16", "BF16", "F32")

_BY_TEMPLATE = {"tools": ".Tools", "insert": ".Suffix", "thinking": ".Thinking"}
"""What a model can do only when its template has a field for it."""


def from_files(digest: str, size: int, *, native: bool) -> SimulatedModel:
    """Return the model of a file of weights, of which nothing is known: it talks as `demo` does.

    Args:
        digest: The file's digest.
        size: Bytes.
        native: Whether llama-server makes its prompts.
    """
    return replace(
        demo,
        capabilities=("completion",),
        path="native" if native else "rendered",
        template="{{ .Prompt }}",
        blob=digest.removeprefix("sha256:"),
        size=size,
        parameter_size="1B",
        quantization="F16",
    )


def wanted_quantization(source: SimulatedModel, asked: CreateRequest) -> str | None:
    """Return to what a model is to be quantized; None when it stays as it is.

    Raises:
        Refusal: 500 for a quantization that there is not, and for a model that is quantized already.
    """
    name = (asked.quantize or asked.quantization).upper()
    if not name:
        return None
    want = "Q4_K_M" if name == "Q4_K" else name
    if want not in _BITS:
        raise Refusal(500, f"unsupported quantization type {name} - supported types are {_TOLD}")
    if source.quantization not in _FULL:
        raise Refusal(500, "quantization is only supported for F16, BF16 and F32 models")
    return want if want != source.quantization else None


def quantized(source: SimulatedModel, want: str) -> SimulatedModel:
    """Return a model with its weights in another quantization."""
    weights = sha256(f"{source.weights} {want}".encode()).hexdigest()
    size = int(source.size * _BITS[want] / _BITS[source.quantization])
    return replace(source, quantization=want, blob=weights, size=size)


def derived(source: SimulatedModel, name: str, asked: CreateRequest) -> SimulatedModel:
    """Return the model that a request makes of another.

    Raises:
        Refusal: 400 for a template that does not parse, 500 for a licence that is no text.
    """
    return replace(
        _with_template(source, asked.template),
        name=name,
        blob=source.weights,
        system=asked.system or source.system,
        licenses=(*source.licenses, *_licenses(asked.license)),
        parameters=source.parameters | asked.parameters,
        messages=asked.messages or source.messages,
    )


def _with_template(source: SimulatedModel, template: str) -> SimulatedModel:
    """Give a model a Go template. It is not used where the file's own can do more (wire.md 1.4)."""
    if not template:
        return source
    try:
        templates.check(template)
    except templates.TemplateError as error:
        raise Refusal(400, f"template error: {error}") from error
    if source.path == "native" and (source.can("tools") or source.can("thinking")):
        return source
    if source.harmony:
        return replace(source, template=template)
    capabilities = tuple(
        each for each in source.capabilities if each not in _BY_TEMPLATE or _BY_TEMPLATE[each] in template
    )
    return replace(source, path="rendered", template=template, capabilities=capabilities)


def _licenses(value: Any) -> tuple[str, ...]:
    match value:
        case None | "":
            return ()
        case str():
            return (value,)
        case list() if all(isinstance(each, str) for each in value):
            return tuple(value)
        case list():
            wrong = next(each for each in value if not isinstance(each, str))
            raise Refusal(500, f"json: cannot unmarshal {kind(wrong)} into Go value of type string")
        case _:
            raise Refusal(500, f"json: cannot unmarshal {kind(value)} into Go value of type []string")


def layers_of(source: SimulatedModel, model: SimulatedModel, asked: CreateRequest) -> Iterable[Layer]:
    """Return the layers of a made model in the order in which a host tells them: those that stay, then what is new."""
    replaced = {"config"} | ({"params"} if model.parameters else set())
    replaced |= {each for each in ("template", "system", "messages") if getattr(asked, each)}
    if not asked.base:
        replaced |= {"template"}
    new = {layer.kind: layer for layer in model.layers}
    return [
        *(layer for layer in source.layers if layer.kind not in replaced),
        *([layer_of("template", asked.template)] if asked.template else []),
        *([new["system"]] if asked.system else []),
        *(layer_of("license", text) for text in _licenses(asked.license)),
        *([new["params"]] if model.parameters else []),
        *([new["messages"]] if asked.messages else []),
    ]
