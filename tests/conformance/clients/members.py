"""What the installed clients have: their public methods, and the parameters of each."""

from __future__ import annotations

import inspect
import json
import re
from functools import cache
from typing import Any, NamedTuple

import ollama
from langchain_core.language_models import BaseChatModel, BaseLLM
from langchain_ollama import ChatOllama, OllamaEmbeddings, OllamaLLM
from ollama._client import BaseClient

from tests.conformance.clients.uses import WAYS, Client, Way
from tests.interop.installed import JS

SYNC, ASYNC, SYNC_STREAMED, ASYNC_STREAMED = WAYS
WHOLE: tuple[Way, ...] = (SYNC, ASYNC)

_PACKAGE = JS / "node_modules" / "ollama"

JAVASCRIPT_VERSION: str = json.loads((JS / "package.json").read_text())["dependencies"]["ollama"]


class Member(NamedTuple):
    """A method; or a class, by what it is made with or holds.

    Attributes:
        parameters: The names of its parameters, in the client's order, without `stream`: that is a way of asking.
        ways: How it can be asked.
    """

    parameters: tuple[str, ...]
    ways: tuple[Way, ...]


@cache
def members(client: Client) -> dict[str, Member]:
    """Return the members of a client, by name."""
    match client:
        case "Python":
            return _python()
        case "JavaScript":
            return _javascript()
        case "LangChain":
            return _langchain()


def _python() -> dict[str, Member]:
    methods = {name: _method(method) for name, method in public(ollama.Client).items()}
    return {
        "Client": Member(_arguments(BaseClient, "client", "kwargs"), WHOLE),
        **methods,
        "Message": Member(tuple(ollama.Message.model_fields), WAYS),
        "Options": Member(tuple(ollama.Options.model_fields), WAYS),
        "ResponseError": Member(("error", "status_code"), WAYS),
    }


def public(client: type) -> dict[str, Any]:
    """Return the methods of a class that have a name without a bar before it."""
    return {name: method for name, method in vars(client).items() if not name.startswith("_")}


def _method(method: Any) -> Member:
    streams = "stream" in inspect.signature(method).parameters
    return Member(_arguments(method, "stream"), WAYS if streams else WHOLE)


def _arguments(method: Any, *others: str) -> tuple[str, ...]:
    return tuple(name for name in inspect.signature(method).parameters if name not in ("self", *others))


def _javascript() -> dict[str, Member]:
    """Read the types that come with the client; what the class has only for itself is `protected`."""
    types = (_PACKAGE / "dist" / "browser.d.ts").read_text()
    interfaces = {
        name: tuple(re.findall(r"^    (\w+)\??:", body, re.MULTILINE))
        for name, body in re.findall(r"^interface (\w+)(?: extends \w+)? \{\n(.*?)^\}", types, re.MULTILINE | re.DOTALL)
    }
    [body] = re.findall(r"^declare class Ollama \{\n(.*?)^\}", types, re.MULTILINE | re.DOTALL)
    found = {"Ollama": Member(interfaces["Config"], (ASYNC,))}
    for name, argument, kind in re.findall(r"^    (\w+)\((?:(\w+): (\w+))?", body, re.MULTILINE):
        if name == "constructor":
            continue
        fields = interfaces.get(kind, (argument,) if argument else ())
        ways = (ASYNC, ASYNC_STREAMED) if "stream" in fields else (ASYNC,)
        found[name] = Member(tuple(field for field in fields if field != "stream"), ways)
    return found | {"ResponseError": Member(("error", "status_code"), (ASYNC, ASYNC_STREAMED))}


def _langchain() -> dict[str, Member]:
    chat = tuple(name for name in ChatOllama.model_fields if name not in BaseChatModel.model_fields)
    llm = tuple(name for name in OllamaLLM.model_fields if name not in BaseLLM.model_fields)
    return {
        "ChatOllama": Member(chat, WAYS),
        "ChatOllama.bind_tools": Member(_arguments(ChatOllama.bind_tools, "kwargs"), WAYS),
        "ChatOllama.with_structured_output": Member(_arguments(ChatOllama.with_structured_output, "kwargs"), WAYS),
        "OllamaLLM": Member(llm, WAYS),
        "OllamaEmbeddings": Member(tuple(OllamaEmbeddings.model_fields), WHOLE),
        "OllamaEmbeddings.embed_documents": Member(_arguments(OllamaEmbeddings.embed_documents), WHOLE),
        "OllamaEmbeddings.embed_query": Member(_arguments(OllamaEmbeddings.embed_query), WHOLE),
    }
