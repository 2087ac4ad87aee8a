"""A second try for an answer that does not follow its schema: the model is shown what it said, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from adapters.emulation.forced_call import ask_for_call
from adapters.types import ChatRequest, Message, ToolCall


def ask_for_form(request: ChatRequest, text: str, problem: str) -> ChatRequest:
    """Return the request for another answer in JSON.

    The model does not think this time: where thoughts and a schema do not go together on a host, the thoughts are what
    broke the form.
    """
    remark = f"That answer does not follow the JSON schema: {problem}. Answer again, with nothing but JSON that does."
    said = (Message(role="assistant", text=text), Message(role="user", text=remark))
    return replace(request, messages=(*request.messages, *said), think=False, think_param="")


def ask_for_calls(request: ChatRequest, calls: Sequence[ToolCall], problems: Sequence[str]) -> ChatRequest:
    """Return the request for the same calls with better arguments.

    Args:
        request: What was asked.
        calls: What the model called.
        problems: What is wrong with the arguments of each; empty for one that is right.
    """
    results = (
        Message(role="tool", text=_result(problem), tool_call_id=call.id, tool_name=call.name)
        for call, problem in zip(calls, problems, strict=True)
    )
    said = Message(role="assistant", tool_calls=tuple(calls))
    return replace(request, messages=(*request.messages, said, *results))


def ask_for_call_again(request: ChatRequest, call: ToolCall, problem: str) -> ChatRequest:
    """Return the request for one call with better arguments, in a form that leaves no other choice."""
    called = tuple(tool for tool in request.tools if tool.name == call.name)
    said = bytes(call.arguments).decode(errors="replace")
    remark = f"You called {call.name} with {said}, which does not follow its schema: {problem}. Keep what was right."
    return ask_for_call(replace(request, tools=called), remark)


def _result(problem: str) -> str:
    if problem:
        return f"Error: the arguments do not follow the schema: {problem}. Nothing was done. Call the function again."
    return "Nothing was done, because another call was wrong. Call the function again, with the same arguments."
