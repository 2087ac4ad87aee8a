"""The vocabulary in which dialects and backends meet: requests, messages, tools, events, calls and inventories.

Everything here is a frozen value. A request is validated where it is decoded and nowhere else, so a `ChatRequest`
that exists is a valid one.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import Raw, Struct

from adapters.errors import GatewayError

# --- calls ------------------------------------------------------------------------------------------------------------


class Call(Struct, frozen=True, kw_only=True):
    """An HTTP request as data, relative to a host: no host, no credentials, no hop-by-hop headers.

    Attributes:
        method: An upper-case HTTP method.
        target: The path and query, as they go on the wire.
        headers: Lower-case names with their values, without `content-length` (the hop adds it).
        body: The whole body, in bytes.
    """

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""


_JSON = ((b"content-type", b"application/json"),)


def json_call(target: str, body: bytes, *, method: str = "POST") -> Call:
    """Return a call whose body is JSON."""
    return Call(method=method, target=target, headers=_JSON, body=body)


# --- requests ---------------------------------------------------------------------------------------------------------

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
Schema: TypeAlias = dict[str, Any]
Think: TypeAlias = bool | Literal["low", "medium", "high", "max"]
KeepAlive: TypeAlias = int | float | str


class Media(Struct, frozen=True):
    """An image or a sound within a message.

    Attributes:
        kind: What it is.
        data: Standard base64, padded, without a `data:` prefix; empty as long as an image is only named by its `url`.
        url: The http(s) address that an image must be fetched from before the request can be sent; else empty.
        param: The field that the address came in, for errors.
    """

    kind: Literal["image", "audio"]
    data: str = ""
    url: str = ""
    param: str = ""


class ToolCall(Struct, frozen=True, kw_only=True):
    """One call of a tool by a model.

    Attributes:
        id: What a tool's result refers to; never empty.
        name: The function's name.
        arguments: A JSON object as text. It is kept as text so that the order and spelling of what the model said
            survives.
        index: The call's place within its answer, from 0.
    """

    id: str
    name: str
    arguments: Raw
    index: int = 0


class Message(Struct, frozen=True, kw_only=True):
    """One turn of a conversation; all text of it is one string, all media are in order.

    Attributes:
        role: Who speaks.
        text: What is said, possibly empty.
        thinking: What an assistant thought before it spoke.
        media: Images and sounds.
        tool_calls: The calls an assistant made.
        tool_call_id: For a tool's result: which call it answers.
        tool_name: For a tool's result: which function it comes from.
    """

    role: Role
    text: str = ""
    thinking: str = ""
    media: tuple[Media, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    tool_name: str = ""


class Tool(Struct, frozen=True, kw_only=True):
    """A function that a model may call.

    Attributes:
        name: The function's name.
        description: What it does, for the model to read.
        parameters: A JSON Schema of its arguments, as the caller wrote it; None when the caller gave none.
        strict: Whether the arguments of a call must follow the schema.
    """

    name: str
    description: str = ""
    parameters: Schema | None = None
    strict: bool = False


class Request(Struct, frozen=True, kw_only=True):
    """What every request to a model has, in whatever dialect. What the caller did not say is None, or empty.

    Attributes:
        model: The model as the caller named it, in a request; the name on the host, in a request to a host.
        stream: Whether the caller wants the answer piece by piece.
        options: Sampling and load options by the names of `adapters.options`, without `stop`.
        keep_alive: How long the model stays loaded afterwards: seconds, or a duration such as `"10m"`; negative is for
            ever, 0 unloads it.
        truncate: Whether a prompt that does not fit is cut; False refuses it.
        user: Who the caller says the end user is, for the log.
        ignored: Paths of fields that were accepted and have no effect.
    """

    model: str
    stream: bool = False
    options: dict[str, Any] = {}
    keep_alive: KeepAlive | None = None
    truncate: bool | None = None
    user: str | None = None
    ignored: tuple[str, ...] = ()


class TextRequest(Request, frozen=True, kw_only=True):
    """A request whose answer is text.

    Attributes:
        format: `"json"` for any JSON, or a JSON Schema that the answer must follow.
        think: Whether, or how hard, the model thinks before it answers.
        think_param: The field by which the caller said so; empty when it did not.
        stop: Texts that end the answer.
        logprobs: Whether log probabilities of the answer's tokens are wanted.
        top_logprobs: How many alternatives a token, 0 to 20.
        shift: Whether generation may slide the context when it is full.
        render_only: Whether the rendered prompt is wanted instead of an answer (`_debug_render_only`).
    """

    format: Literal["json"] | Schema | None = None
    think: Think | None = None
    think_param: str = ""
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    top_logprobs: int | None = None
    shift: bool | None = None
    render_only: bool = False


class ChatRequest(TextRequest, frozen=True, kw_only=True):
    """A chat.

    Attributes:
        messages: The conversation, oldest first; at least one message.
        n: How many answers are wanted, each a choice of its own.
        include_usage: Whether a stream ends with its usage.
        tools: The functions the model may call; only those that the caller's choice leaves.
        tool_choice: `auto`: the model may call; `none`: it must not; `required`: it must call at least one tool;
            `named`: it must call the one tool there is.
        parallel_tool_calls: Whether an answer may have more than one call.
        strict_format: Whether an answer that does not follow `format` is wrong.
        legacy_functions: Whether the caller gave `functions`, and so reads a call in `function_call`.
        metadata: The caller's own notes, given back with the answer.
    """

    messages: tuple[Message, ...]
    n: int = 1
    include_usage: bool = False
    tools: tuple[Tool, ...] = ()
    tool_choice: Literal["auto", "none", "required", "named"] = "auto"
    parallel_tool_calls: bool = True
    strict_format: bool = False
    legacy_functions: bool = False
    metadata: dict[str, str] | None = None


class GenerateRequest(TextRequest, frozen=True, kw_only=True):
    """A text to go on with, or a gap to fill.

    Attributes:
        prompt: The text before.
        suffix: The text after, for a gap between the two; empty for none.
        raw: Whether the model reads the prompt as it is, without its template; None leaves it to the model's settings.
        template: A template instead of the model's own.
        system: A system text instead of the model's own.
        context: The tokens of an earlier exchange, as a host gave them, to go on from.
        media: Images.
    """

    prompt: str
    suffix: str = ""
    raw: bool | None = None
    template: str | None = None
    system: str | None = None
    context: Raw | None = None
    media: tuple[Media, ...] = ()


class EmbedRequest(Request, frozen=True, kw_only=True):
    """Texts whose vectors are wanted.

    Attributes:
        inputs: The texts; at least one.
        dimensions: How long each vector is to be; the model's own length when None.
    """

    inputs: tuple[str, ...]
    dimensions: int | None = None


# --- events -----------------------------------------------------------------------------------------------------------


class Alternative(Struct, frozen=True):
    """A token that could have stood in a place, with its log probability and its UTF-8 bytes where known."""

    token: str
    logprob: float
    bytes: list[int] | None = None


class TokenLogprob(Struct, frozen=True):
    """A token of the answer with its log probability, its UTF-8 bytes where known, and its alternatives."""

    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: list[Alternative] = []


class Usage(Struct, frozen=True, kw_only=True):
    """What an answer took, in tokens.

    Attributes:
        prompt: Tokens read, cached ones included.
        completion: Tokens written, thinking included.
        cached: Tokens of the prompt that came from a cache; None when the host does not say.
        thinking: Tokens of the completion that were thinking, estimated from the share of its text.
        estimated: Whether the counts are the gateway's estimate, because the host gave none.
    """

    prompt: int = 0
    completion: int = 0
    cached: int | None = None
    thinking: int = 0
    estimated: bool = False


class Delta(Struct, frozen=True, kw_only=True):
    """The next piece of an answer. Text and thinking may come together with tool calls; each call is whole."""

    text: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()


class Vectors(Struct, frozen=True):
    """The vectors of an `EmbedRequest`, all of them, in the order of its inputs: each a JSON array of numbers."""

    vectors: tuple[Raw, ...]


class Piece(Struct, frozen=True):
    """The next bytes of a host's answer as they are, for a caller who speaks the host's own dialect."""

    data: bytes


class Finish(Struct, frozen=True, kw_only=True):
    """The end of an answer.

    Attributes:
        reason: Why it ended. An answer with tool calls that was not cut short ends with `tool_calls`.
        usage: What it took.
        timings: What the host says about its own work, by the host's names (durations in nanoseconds), for the answer's
            extension object.
    """

    reason: Literal["stop", "length", "tool_calls"]
    usage: Usage
    timings: dict[str, Any] = {}


class Failure(Struct, frozen=True):
    """The host said, or showed, that the answer will not be finished. Nothing comes after it."""

    error: GatewayError


Event: TypeAlias = Delta | Vectors | Piece | Finish | Failure

# --- inventory --------------------------------------------------------------------------------------------------------


class Model(Struct, frozen=True, kw_only=True):
    """A model that a host has on its disk.

    Attributes:
        name: The canonical name, with its tag.
        digest: Which weights and settings stand behind the name, hexadecimal.
        size: Bytes on disk.
        modified: Seconds since the epoch when it was made or pulled.
        context_length: The longest context it was trained for, in tokens; None when the host does not say.
        entry: All that the host says of it, as a JSON object in the host's own bytes.
    """

    name: str
    digest: str = ""
    size: int = 0
    modified: int = 0
    context_length: int | None = None
    entry: Raw = Raw(b"{}")


class Resident(Struct, frozen=True, kw_only=True):
    """A model that is in a host's memory now.

    Attributes:
        name: The canonical name that loaded it.
        digest: As in `Model`.
        size: Bytes of memory it takes.
        size_vram: How many of them are on GPUs.
        context_length: The context it was loaded with, in tokens; 0 when the host does not say.
        entry: As in `Model`.
    """

    name: str
    digest: str = ""
    size: int = 0
    size_vram: int = 0
    context_length: int = 0
    entry: Raw = Raw(b"{}")


class Profile(Struct, frozen=True, kw_only=True):
    """What a host tells about one model when it is asked for the whole of it.

    Attributes:
        capabilities: `completion`, `tools`, `vision`, `thinking`, `insert`, `embedding`, `audio`; empty when the host
            is too old to say.
        stops: The texts that end an answer by the model's own settings.
        context_length: As in `Model`.
        embedding_length: How long its vectors are; None when the host does not say.
    """

    capabilities: frozenset[str] = frozenset()
    stops: tuple[str, ...] = ()
    context_length: int | None = None
    embedding_length: int | None = None
