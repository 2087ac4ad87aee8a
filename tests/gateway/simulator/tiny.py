"""The tiny models of the recordings: what each says to what, token by token (tests/recordings).

The real ones are hand-made: their template looks at the last message and ends the prompt with the name of a script,
`<|s:say|>`, which the model then recites. It is the same here.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator
from itertools import cycle

from gateway.simulator import Message, Prompt, SimulatedModel, Token, Tool


def _tokens(text: str) -> list[bytes]:
    """Cut a script at its marks."""
    return [part.encode() for part in text.split("¦")]


SAY = [
    *_tokens("Hello¦ from¦ the¦ tiny¦ model:¦ caf"),
    b"\xc3",
    b"\xa9",
    *_tokens(", 日本¦語"),
    b" \xf0\x9f",
    b"\x99\x82",
    *_tokens(" and¦ goodbye."),
]

SCRIPTS: dict[str, list[bytes]] = {
    "say": SAY,
    "long": _tokens("Counting: 1¦" + "¦".join(f" {number}" for number in range(2, 201)) + "¦ done."),
    "silent": [],
    "json": _tokens('{"¦city¦":¦ "¦Paris¦",¦ "temp¦": 21¦, "¦ok¦": true}'),
    "call1": _tokens(
        '<tool_call¦>\n{"¦name¦": "¦get_weather¦", "¦arguments¦": {"¦city":¦ "Austin¦"}}¦\n</¦tool_call>',
    ),
    "call2": _tokens(
        '<tool_call¦>\n{"¦name¦": "¦get_weather¦", "arguments": {"¦city":¦ "Austin¦"}}¦\n</tool_call>'
        '¦\n<tool_call¦>\n{"name": "¦get_weather¦", "arguments": {"city":¦ "Paris¦"}}¦\n</tool_call>'
    ),
    "callmix": _tokens(
        'Let¦ me¦ check¦.\n<¦tool_call>¦\n{"name": "¦get_weather¦", "arguments": {"¦city":¦ "Oslo¦"}}¦\n</¦tool_call>'
        '¦\n<¦tool_call>¦\n{"name": "¦get_time¦", "arguments": {"¦zone":¦ "UTC+1¦"}}¦\n</tool_call>'
    ),
    "callrich": _tokens(
        '<tool_call¦>\n{"¦name¦": "¦get_weather¦", "¦arguments¦": {"¦city":¦ "Zürich¦", "¦days":¦ 3¦, "low":¦ -1.5¦, "wind":'
        '¦ true¦, "note":¦ null¦, "units":¦ ["C",¦ "F"]¦, "where":¦ {"lat":¦ 47.4¦, "lon":¦ 8.5¦}}}¦\n</¦tool_call>'
    ),
    "callempty": _tokens('<tool_call¦>\n{"name": "¦get_weather¦", "arguments": {}¦}\n</¦tool_call>'),
    "callbad": _tokens('<tool_call¦>\n{"name": "¦get_weather¦", "arguments": {"city": "Aus'),
    "callbrace": _tokens('{"name": "¦get_weather¦", "parameters": {"¦city": "¦Boston"}}'),
    "result": _tokens("The tool¦ says¦ it¦ is¦ 21¦ degrees¦ there."),
    "think": _tokens(
        "<think¦>\nThe¦ user¦ greets¦ me,¦ so¦ I¦ greet¦ back¦.\n</¦think¦>\n\nHi¦! I¦ thought¦ about¦ it.",
    ),
    "thinklow": _tokens("<think>\nQuick¦ thought.¦\n</¦think¦>\n\nHi,¦ low¦ effort."),
    "thinkhigh": _tokens(
        "<think>\nFirst¦ I¦ look at it¦ from one side,¦ then¦ from the other¦ side,¦ and then¦ I¦ decide¦.\n</¦think"
        "¦>\n\nHi¦,¦ high¦ effort."
    ),
    "thinkcall": _tokens(
        '<think>\nI¦ need¦ the weather¦ tool.¦\n</think¦>\n\n¦<tool_call¦>\n{"name": "¦get_weather¦", "arguments": {"¦city":'
        '¦ "Lima¦"}}¦\n</¦tool_call>'
    ),
    "thinkjson": _tokens('<think¦>\nJSON¦ is wanted¦.\n</think>\n\n¦{"¦city¦": "¦Rome¦", "temp": ¦30¦, "ok": ¦false}'),
    "fim": _tokens("    return¦ a¦ +¦ b"),
    "harmony": _tokens(
        "<|¦channel¦|>¦analysis¦<|¦message¦|>The¦ user says¦ hi¦; answer¦ briefly¦.<|¦end¦|>¦<|start|>¦assistant"
        "¦<|channel|>¦final<|message|>¦Hi¦ from harmony."
    ),
    "harmonycall": _tokens(
        "<|¦channel¦|>¦analysis¦<|¦message¦|>Call¦ the weather tool¦.<|¦end¦|>¦<|start|>assistant¦<|channel|>¦commentary"
        '¦ to=functions.get_weather¦ <|constrain|>json¦<|message|>¦{"city":¦"Quito"}'
    ),
}

_DICE = (
    ("Red", "Blue", "Green", "Gold"),
    (" fox", " owl", " cat", " elk"),
    (" runs", " sits", " hums", " naps"),
)

_SCRIPT = re.compile(r"<\|s:(\w+)\|>\Z")


def recite(prompt: Prompt) -> Iterator[Token]:
    """Recite the script that a prompt ends with; `say` when it ends with none."""
    named = _SCRIPT.search(prompt.text)
    script = named[1] if named else "fim" if prompt.text.endswith("<|fim_middle|>") else "say"
    match script:
        case "dice":
            return _dice(prompt)
        case "endless":
            return (Token(text) for text in cycle(_tokens(" tick¦ tock¦ ding¦ dong¦ plip¦ plop")))
        case "repeat":
            return (Token(b" ha") for _ in cycle((None,)))
        case _:
            return (Token(text) for text in SCRIPTS[script])


def _dice(prompt: Prompt) -> Iterator[Token]:
    """Choose three words: the most probable ones where the options leave no choice, else by the seed."""
    scores = [-0.75 * place for place in range(4)]
    total = math.log(sum(math.exp(score) for score in scores))
    logprobs = [score - total for score in scores]
    options = prompt.options
    forced = options["temperature"] == 0 or options["top_k"] == 1 or options["top_p"] < 0.5 or options["min_p"] > 0.5
    chance = random.Random(options["seed"] if options["seed"] >= 0 else None)
    for words in _DICE:
        ranked = tuple((word.encode(), logprob) for word, logprob in zip(words, logprobs, strict=True))
        weights = [math.exp(logprob) for logprob in logprobs]
        text, logprob = ranked[0] if forced else chance.choices(ranked, weights)[0]
        yield Token(text, logprob, ranked)


_ALONE = ("long", "json", "dice", "endless", "repeat", "silent")
_WITH_TOOLS = {
    "two": "call2",
    "mixed": "callmix",
    "rich": "callrich",
    "empty": "callempty",
    "broken": "callbad",
    "text": "say",
    "long": "long",
}


def _script(messages: tuple[Message, ...], tools: tuple[Tool, ...], think: bool | str, one_call: str = "call1") -> str:
    last = messages[-1]
    if last.role == "assistant":
        return "json" if last.thinking and not last.content else ""
    if last.role == "tool":
        return "result"
    if think:
        if tools:
            return "thinkcall"
        thoughts = {"json": "thinkjson", "long": "long", "endless": "endless"}
        level = {"low": "thinklow", "high": "thinkhigh"}.get(str(think), "think")
        return thoughts.get(last.content, level)
    if tools:
        return _WITH_TOOLS.get(last.content, one_call)
    return last.content if last.content in _ALONE else "say"


def _cue(messages: tuple[Message, ...], tools: tuple[Tool, ...], think: bool | str) -> str:
    script = _script(messages, tools, think)
    return f"<|s:{script}|>" if script else ""


def _brace_cue(messages: tuple[Message, ...], tools: tuple[Tool, ...], think: bool | str) -> str:
    script = "json" if messages[-1].content == "json" else _script(messages, tools, think, one_call="callbrace")
    return f"<|s:{script}|>" if script else ""


def _harmony_cue(messages: tuple[Message, ...], tools: tuple[Tool, ...], think: bool | str) -> str:
    return f"<|s:{'harmonycall' if tools and messages[-1].role != 'tool' else 'harmony'}|>"


_TOKEN = re.compile(rb"<\|[^|]*\|>|.", re.DOTALL)


def split_bytes(text: str) -> list[str]:
    """Cut a text as the tiny models do: a token a byte, but one for each name in bars."""
    return [token.decode("utf-8", "surrogateescape") for token in _TOKEN.findall(text.encode())]


_KNOWN = {"hello", "world", "good", "bye"}


def split_for_embedding(text: str) -> list[str]:
    """Cut a text as `tiny-embed` does: known words are whole, others are spelled; a token before and one after."""
    tokens = [""]
    for word in text.split():
        tokens += [f"{word} "] if word in _KNOWN else list(word)
    return [*tokens, ""]


def _chat(name: str, **more: object) -> SimulatedModel:
    settings: dict[str, object] = {
        "speak": recite,
        "cue": _cue,
        "capabilities": ("completion", "tools"),
        "filler": tuple(SAY),
        "split": split_bytes,
        "parameters": {"num_thread": 1},
        "parameter_size": "1.43M",
        "quantization": "F16",
        "embedding_length": 768,
        "gpu_share": 0.0,
        **more,
    }
    return SimulatedModel(name=name, **settings)  # type: ignore[arg-type]


tiny_chat = _chat(
    "tiny-chat",
    capabilities=("completion", "tools", "insert"),
    parameters={"num_thread": 1, "stop": ["<|im_start|>", "<|im_end|>"]},
    licenses=("MIT",),
)
tiny_think = _chat(
    "tiny-think",
    capabilities=("completion", "tools", "thinking"),
    family="qwen3",
    parameters={"num_thread": 1, "temperature": 0.6},
)
tiny_brace = _chat("tiny-brace", cue=_brace_cue, tool_tag="{")
tiny_harmony = _chat("tiny-harmony", capabilities=("completion", "tools", "thinking"), harmony=True, cue=_harmony_cue)
tiny_plain = _chat(
    "tiny-plain", capabilities=("completion",), cue=lambda *_: "<|s:say|>", parameters={}, system="You are plain."
)
tiny_vision_label = _chat(
    "tiny-vision-label",
    capabilities=("vision", "completion", "tools", "insert"),
    parameters=tiny_chat.parameters,
    licenses=("MIT",),
    sees=False,
    blob="tiny-chat",
)
tiny_embed = SimulatedModel(
    name="tiny-embed",
    capabilities=("embedding",),
    split=split_for_embedding,
    parameters={"num_thread": 1},
    family="bert",
    parameter_size="18K",
    quantization="F16",
    context_length=64,
    embedding_length=32,
    gpu_share=0.0,
)
tiny_native = _chat("tiny-native", capabilities=("tools", "completion"), path="native")
tiny_native_think = _chat(
    "tiny-native-think", capabilities=("tools", "thinking", "completion"), path="native", family="qwen3"
)
tiny_native_vision_label = _chat(
    "tiny-native-vision-label",
    capabilities=("vision", "tools", "completion"),
    path="native",
    sees=False,
    blob="tiny-native",
)
tiny_unloadable = _chat(
    "tiny-unloadable",
    capabilities=("completion",),
    load_error="llama-server process has terminated: exit status 1: error loading model: "
    "tensor 'blk.0.attn_q.weight' is missing",
)

tiny_models = (
    tiny_chat,
    tiny_think,
    tiny_brace,
    tiny_harmony,
    tiny_plain,
    tiny_vision_label,
    tiny_embed,
    tiny_native,
    tiny_native_think,
    tiny_native_vision_label,
    tiny_unloadable,
)
