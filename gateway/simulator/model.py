"""A simulated model: what it says, how its prompt is made, and what its host tells about it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from msgspec import Struct

from gateway.simulator import names
from gateway.simulator.embedding import embed_text
from gateway.simulator.golang import encode

# --- what a model reads -----------------------------------------------------------------------------------------------


class ToolCall(Struct, frozen=True):
    """A call of a tool in a conversation: its name and its arguments, an object."""

    name: str
    arguments: dict[str, Any]
    id: str = ""


class Message(Struct, frozen=True):
    """One turn of a conversation, as `/api/chat` takes it."""

    role: str
    content: str = ""
    thinking: str = ""
    images: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_name: str = ""
    tool_call_id: str = ""


class Tool(Struct, frozen=True):
    """A function that the model may call; of its schema only what Ollama keeps (wire.md 1.6)."""

    name: str
    description: str
    parameters: dict[str, Any]
    type: str = "function"


class Prompt(Struct, frozen=True, kw_only=True):
    """What a model is given to continue.

    Attributes:
        text: The rendered prompt.
        messages: The conversation it was rendered from; for `/api/generate` the one message of the user.
        tools: The tools on offer.
        think: Whether, or how hard, to think; False for models that do not.
        format: None, `"json"`, or the JSON Schema the answer is held to. The host sees to that; a model may look at it.
        options: The sampling options in force.
        suffix: What the answer is to end in, for fill-in-the-middle.
    """

    text: str
    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    think: bool | str = False
    format: Literal["json"] | dict[str, Any] | None = None
    options: Mapping[str, Any] = {}
    suffix: str = ""

    @property
    def question(self) -> str:
        """The last text of the user, or the prompt itself where there is no conversation."""
        if not self.messages:
            return self.text
        return next((turn.content for turn in reversed(self.messages) if turn.role == "user"), "")


# --- what a model says ------------------------------------------------------------------------------------------------


class Token(Struct, frozen=True):
    """A token of an answer.

    Attributes:
        text: Its bytes; a character may be spread over several tokens.
        logprob: Its log probability.
        ranked: All tokens that could stand here with their log probabilities, most probable first; empty when it was
            the only one.
    """

    text: bytes
    logprob: float = 0.0
    ranked: tuple[tuple[bytes, float], ...] = ()


Speak = Callable[[Prompt], Iterable[Token]]
Split = Callable[[str], list[str]]

_PIECE = re.compile(r" ?\w+| ?[^\w\s]+|\s+")


def split_words(text: str) -> list[str]:
    """Cut a text into tokens: words and runs of punctuation, each with the space before it."""
    return _PIECE.findall(text)


def tokens_of(text: str) -> tuple[Token, ...]:
    """Return a text as tokens."""
    return tuple(Token(piece.encode()) for piece in split_words(text))


def says(text: str) -> Speak:
    """Return the speech of a model that always says the same.

    Thoughts go between `<think>` and `</think>`, calls of tools between `<tool_call>` and `</tool_call>`, each one
    `{"name": …, "arguments": {…}}`, as in the text that real models produce.
    """
    tokens = tokens_of(text)
    return lambda _prompt: tokens


def _no_cue(_messages: tuple[Message, ...], _tools: tuple[Tool, ...], _think: bool | str) -> str:
    return ""


_GO_TEMPLATE = (
    "{{- if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}"
    "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"
)
_JINJA_TEMPLATE = (
    "{%- for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


LayerKind = Literal["model", "adapter", "template", "system", "license", "params", "messages", "config"]


class Layer(Struct, frozen=True):
    """A blob that a model is made of.

    Attributes:
        kind: What it is of the model.
        digest: `sha256:` and 64 hex digits.
        size: Bytes.
    """

    kind: LayerKind
    digest: str
    size: int


def layer_of(kind: LayerKind, text: str) -> Layer:
    """Return the layer of a text."""
    data = text.encode()
    return Layer(kind, f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))


def _json(value: Any) -> str:
    return encode(value).decode()


_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


class SimulatedModel(Struct, frozen=True, kw_only=True):
    """A model of a simulated host. Another with small differences: `msgspec.structs.replace(model, name=…)`.

    Attributes:
        name: As in `ollama pull`; the default tag may be left out.
        speak: What it says to a prompt, as the bare tokens of a real model, with its tags. The host parses them.
        capabilities: `completion`, `tools`, `thinking`, `insert`, `vision`, `embedding`.
        path: Who makes the prompt: Ollama (`rendered`), or llama-server from a Jinja template (`native`, wire.md 1.4).
        harmony: Whether it speaks the harmony format of gpt-oss.
        tool_tag: What starts a call of a tool on the rendered path; `{` for calls that are bare JSON.
        cue: What its template adds at the end of a prompt.
        filler: What a schema's strings hold when the model did not want to say JSON.
        split: Its tokenizer: the tokens of a text, in order.
        sees: Whether it has an image encoder. A model may have the label `vision` without one.
        system: The system text of its Modelfile.
        messages: The conversation of its Modelfile; every chat begins with it.
        parameters: The options of its Modelfile.
        template: What `/api/show` tells as its template; one that fits `path` when empty.
        licenses: The licences of its Modelfile.
        adapter: The blob of an adapter over its weights.
        parent: The model it was made from; empty when it was not made from another.
        family: The architecture's name.
        parameter_size: As listings show it.
        quantization: As listings show it.
        context_length: The longest context it was trained for, in tokens.
        embedding_length: The dimensions of its vectors.
        size: Bytes on disk, and in memory when loaded.
        gpu_share: How much of it is on GPUs when loaded, from 0 to 1.
        blob: What weights it has: a digest in hex, or any text that stands for one; its own name when empty.
            Models with the same weights share a runner (wire.md 3.5).
        load_error: Why it cannot be loaded; empty when it can.
        constrained: Whether its runner holds answers to a format. Some runners leave that to the model.
    """

    name: str
    speak: Speak = says("")
    capabilities: tuple[str, ...] = ("completion",)
    path: Literal["rendered", "native"] = "rendered"
    harmony: bool = False
    tool_tag: str = "<tool_call>"
    cue: Callable[[tuple[Message, ...], tuple[Tool, ...], bool | str], str] = _no_cue
    filler: tuple[bytes, ...] = (b"simulated",)
    split: Split = split_words
    sees: bool = True
    system: str = ""
    messages: tuple[Message, ...] = ()
    parameters: dict[str, Any] = {}
    template: str = ""
    licenses: tuple[str, ...] = ()
    adapter: Layer | None = None
    parent: str = ""
    family: str = "llama"
    parameter_size: str = "1B"
    quantization: str = "Q4_K_M"
    context_length: int = 32768
    embedding_length: int = 64
    size: int = 1_000_000_000
    gpu_share: float = 1.0
    blob: str = ""
    load_error: str = ""
    constrained: bool = True

    @property
    def full_name(self) -> names.Name:
        """The name with all its parts.

        Raises:
            ValueError: The name is malformed.
        """
        name = names.parse(self.name)
        if name is None:
            raise ValueError(f"{self.name!r} is not the name of a model: use [host/][namespace/]model[:tag].")
        return name

    @property
    def digest(self) -> str:
        """What stands for its weights and settings; another name for the same does not change it."""
        return hashlib.sha256("".join(layer.digest for layer in self.layers).encode()).hexdigest()

    @property
    def weights(self) -> str:
        """What stands for its weights alone."""
        if _DIGEST.match(self.blob):
            return self.blob
        return hashlib.sha256((self.blob or self.full_name.key).encode()).hexdigest()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The blobs that it is made of, with what describes it last."""
        described = [self.family, self.parameter_size, self.quantization, self.capabilities, self.context_length]
        adapters = [self.adapter] if self.adapter is not None else []
        return (
            Layer("model", f"sha256:{self.weights}", self.size),
            *adapters,
            *([layer_of("template", self.shown_template)] if self.path == "rendered" else []),
            *([layer_of("system", self.system)] if self.system else []),
            *(layer_of("license", text) for text in self.licenses),
            *([layer_of("params", _json(dict(sorted(self.parameters.items()))))] if self.parameters else []),
            *([layer_of("messages", _json(self.messages))] if self.messages else []),
            layer_of("config", _json(described)),
        )

    @property
    def shown_template(self) -> str:
        """The template that `/api/show` tells."""
        return self.template or (_JINJA_TEMPLATE if self.path == "native" else _GO_TEMPLATE)

    def can(self, capability: str) -> bool:
        """Tell whether it has a capability."""
        return capability in self.capabilities

    def vector(self, text: str) -> list[float]:
        """Return the embedding of a text: of length 1, the same for the same text, near for texts that share words."""
        return embed_text(text, self.embedding_length)
