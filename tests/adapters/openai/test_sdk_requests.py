"""The OpenAI SDK as judge: what it sends is decoded, what it reads is encoded, and no socket is opened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from msgspec import Raw
from msgspec.structs import replace
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from adapters.errors import GatewayError, HostBroken
from adapters.openai.chat import AnswerEncoder, ChoicesStreamEncoder, Head, StreamEncoder, decode_request
from adapters.openai.errors import encode_error
from adapters.types import ChatRequest, Delta, Event, Failure, Finish, Message, Tool, ToolCall, Usage
from tests.adapters.openai.test_media import PNG, PNG_URL

HEAD = Head(id="chatcmpl-1", created=1700000000, model="llama3.2", metadata={"job": "7"})
MOST_CHOICES = 3
ARGUMENTS = '{"city":"Oslo","days":3}'
CALL = ToolCall(id="call_a", name="Weather", arguments=Raw(ARGUMENTS.encode()))
USAGE = Usage(prompt=3, completion=2, cached=1)
ANSWER: list[Event] = [
    Delta(thinking="Easy."),
    Delta(text='{"city":"Oslo",'),
    Delta(text='"days":3}'),
    Finish(reason="stop", usage=USAGE, timings={"eval_duration": 9}),
]
CALLED: list[Event] = [Delta(tool_calls=(CALL,)), Finish(reason="tool_calls", usage=USAGE)]
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]
DECODED_HELLO = (Message(role="user", text="hi"),)


class Weather(BaseModel):
    city: str
    days: int


SCHEMA = {
    "properties": {"city": {"title": "City", "type": "string"}, "days": {"title": "Days", "type": "integer"}},
    "required": ["city", "days"],
    "title": "Weather",
    "type": "object",
    "additionalProperties": False,
}
WEATHER = Tool(name="Weather", parameters=SCHEMA, strict=True)
NAMED = {"type": "function", "function": {"name": "Weather"}}


class Line:
    """A client of the SDK with, in place of a network, this dialect on the other end.

    Attributes:
        client: The client.
        answer: What each request is answered with, in each of its choices.
        requests: The requests that came, decoded.
    """

    def __init__(self) -> None:
        self.answer = ANSWER
        self.requests: list[ChatRequest] = []
        self._http = httpx2.Client(transport=httpx2.MockTransport(self._respond))
        self.client = OpenAI(api_key="none", base_url="http://gateway/v1", http_client=self._http, max_retries=0)

    def close(self) -> None:
        self._http.close()

    def _respond(self, request: httpx2.Request) -> httpx2.Response:
        try:
            decoded = decode_request(request.read(), most_choices=MOST_CHOICES)
            self.requests.append(decoded)
            head = replace(HEAD, legacy_functions=decoded.legacy_functions)
            if decoded.stream:
                stream = self._stream(decoded, head)
                return httpx2.Response(200, content=stream, headers={"content-type": "text/event-stream"})
            encoder = AnswerEncoder(head, decoded.n)
            for index in range(decoded.n):
                encoder.feed(self.answer, index)
            return httpx2.Response(200, content=encoder.encode(), headers={"content-type": "application/json"})
        except GatewayError as error:
            return httpx2.Response(error.status, content=encode_error(error))

    def _stream(self, request: ChatRequest, head: Head) -> bytes:
        if request.n == 1:
            return StreamEncoder(head, include_usage=request.include_usage).encode(self.answer)
        choices = ChoicesStreamEncoder(head, request.n, include_usage=request.include_usage)
        # Whichever of the choices has something to say first, in this one the last.
        return choices.encode([(index, [event]) for event in self.answer for index in reversed(range(request.n))])


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    yield line
    line.close()


def create(line: Line, **fields: Any) -> ChatRequest:
    line.client.chat.completions.create(**{"model": "llama3.2", "messages": HELLO, **fields})
    return line.requests[-1]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"temperature": 0.5, "seed": 1, "stop": ["a"]}, {"options": {"temperature": 0.5, "seed": 1}, "stop": ("a",)}),
        (
            {"max_completion_tokens": 9, "reasoning_effort": "low"},
            {"options": {"num_predict": 9}, "think": "low", "think_param": "reasoning_effort"},
        ),
        ({"logprobs": True, "top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
        ({"stream": True}, {"stream": True}),
        (
            {"stream": True, "stream_options": {"include_usage": True}},
            {"stream": True, "include_usage": True},
        ),
        ({"response_format": {"type": "json_object"}}, {"format": "json"}),
        (
            {"tools": [openai.pydantic_function_tool(Weather)], "tool_choice": "auto"},
            {"tools": (WEATHER,)},
        ),
        (
            {"tools": [openai.pydantic_function_tool(Weather)], "tool_choice": NAMED, "parallel_tool_calls": False},
            {"tools": (WEATHER,), "tool_choice": "named", "parallel_tool_calls": False},
        ),
        (
            {
                "tools": [openai.pydantic_function_tool(Weather), {"type": "function", "function": {"name": "sun"}}],
                "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}},
            },
            {"tools": (WEATHER,), "tool_choice": "required"},
        ),
        (
            {"functions": [{"name": "Weather", "parameters": SCHEMA}], "function_call": {"name": "Weather"}},
            {
                "tools": (Tool(name="Weather", parameters=SCHEMA),),
                "tool_choice": "named",
                "parallel_tool_calls": False,
                "legacy_functions": True,
            },
        ),
        ({"n": 2, "seed": 1}, {"n": 2, "options": {"seed": 1}}),
        ({"extra_body": {"num_ctx": 8192, "keep_alive": "5m"}}, {"options": {"num_ctx": 8192}, "keep_alive": "5m"}),
        (
            {"extra_body": {"ollama": {"options": {"top_k": 5}, "think": False}}},
            {"options": {"top_k": 5}, "think": False, "think_param": "think"},
        ),
        ({"user": "ann", "metadata": {"job": "7"}, "store": False}, {"user": "ann", "metadata": {"job": "7"}}),
    ],
)
def test_a_request_of_the_sdk(line: Line, fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert create(line, **fields) == ChatRequest(model="llama3.2", messages=DECODED_HELLO, **expected)


def test_an_image(line: Line) -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PNG_URL, "detail": "low"}},
    ]
    [message] = create(line, messages=[{"role": "user", "content": parts}]).messages
    assert message.text == "What is this?"
    assert [media.data for media in message.media] == [PNG]


def test_structured_output(line: Line) -> None:
    completion = line.client.chat.completions.parse(model="llama3.2", messages=HELLO, response_format=Weather)
    assert (line.requests[0].format, line.requests[0].strict_format) == (SCHEMA, True)
    assert completion.choices[0].message.parsed == Weather(city="Oslo", days=3)


def test_structured_output_in_a_stream(line: Line) -> None:
    with line.client.chat.completions.stream(model="llama3.2", messages=HELLO, response_format=Weather) as stream:
        completion = stream.get_final_completion()
    assert completion.choices[0].message.parsed == Weather(city="Oslo", days=3)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_and_the_turn_after_it(line: Line, streamed: bool) -> None:
    line.answer = CALLED
    tools = [openai.pydantic_function_tool(Weather)]
    if streamed:
        with line.client.chat.completions.stream(model="llama3.2", messages=HELLO, tools=tools) as stream:
            completion = stream.get_final_completion()
    else:
        completion = line.client.chat.completions.parse(model="llama3.2", messages=HELLO, tools=tools)
    [choice] = completion.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls is not None
    [call] = choice.message.tool_calls
    assert call.function.parsed_arguments == Weather(city="Oslo", days=3)

    # The message goes back as it came, as the SDK's documentation shows.
    result = {"role": "tool", "tool_call_id": call.id, "content": "21"}
    request = create(line, messages=[*HELLO, choice.message, result])
    assert request.messages[1:] == (
        Message(role="assistant", tool_calls=(CALL,)),
        Message(role="tool", text="21", tool_call_id="call_a", tool_name="Weather"),
    )


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("told", [ANSWER, CALLED])
def test_several_choices(line: Line, told: list[Event], streamed: bool) -> None:
    line.answer = told
    if streamed:
        with line.client.chat.completions.stream(model="llama3.2", messages=HELLO, n=MOST_CHOICES) as stream:
            completion: Any = stream.get_final_completion()
    else:
        completion = line.client.chat.completions.create(model="llama3.2", messages=HELLO, n=MOST_CHOICES)
    assert [choice.index for choice in completion.choices] == [0, 1, 2]
    for choice in completion.choices:
        if told is ANSWER:
            assert (choice.message.content, choice.finish_reason) == (ARGUMENTS, "stop")
        else:
            assert [call.function.arguments for call in choice.message.tool_calls] == [ARGUMENTS]
            assert choice.finish_reason == "tool_calls"


def test_more_choices_than_are_allowed_are_refused(line: Line) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        create(line, n=MOST_CHOICES + 1)
    assert (caught.value.param, caught.value.code) == ("n", "integer_above_max_value")


def test_a_legacy_function_and_the_turn_after_it(line: Line) -> None:
    line.answer = CALLED
    completion: Any = line.client.chat.completions.create(
        model="llama3.2", messages=HELLO, functions=[{"name": "Weather", "parameters": SCHEMA}], function_call="auto"
    )
    [choice] = completion.choices
    assert (choice.finish_reason, choice.message.content, choice.message.tool_calls) == ("function_call", None, None)
    assert (choice.message.function_call.name, choice.message.function_call.arguments) == ("Weather", ARGUMENTS)

    result = {"role": "function", "name": "Weather", "content": "21"}
    _, called, answered = create(line, messages=[*HELLO, choice.message, result]).messages
    [call] = called.tool_calls
    assert (call.name, bytes(call.arguments).decode()) == ("Weather", ARGUMENTS)
    assert answered == Message(role="tool", text="21", tool_call_id=call.id, tool_name="Weather")


def test_a_legacy_function_in_a_stream(line: Line) -> None:
    line.answer = CALLED
    chunks: Any = line.client.chat.completions.create(
        model="llama3.2", messages=HELLO, functions=[{"name": "Weather"}], function_call="auto", stream=True
    )
    found = [chunk.choices[0] for chunk in chunks]
    calls = [choice.delta.function_call for choice in found if choice.delta.function_call]
    assert "".join(call.name or "" for call in calls) == "Weather"
    assert "".join(call.arguments or "" for call in calls) == ARGUMENTS
    assert found[-1].finish_reason == "function_call"


def test_thinking_goes_out_and_comes_back(line: Line) -> None:
    completion = line.client.chat.completions.create(model="llama3.2", messages=HELLO)
    message: Any = completion.choices[0].message
    assert (message.reasoning, message.reasoning_content) == ("Easy.", "Easy.")
    request = create(line, messages=[*HELLO, message, *HELLO])
    assert request.messages[1] == Message(role="assistant", text=ARGUMENTS, thinking="Easy.")
    assert request.ignored == ()


def test_what_a_whole_answer_carries(line: Line) -> None:
    completion: Any = line.client.chat.completions.create(model="llama3.2", messages=HELLO)
    assert completion.choices[0].message.content == ARGUMENTS
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens, completion.usage.total_tokens) == (
        3,
        2,
        5,
    )
    assert completion.usage.prompt_tokens_details.cached_tokens == 1
    assert completion.metadata == {"job": "7"}
    assert completion.ollama == {"eval_duration": 9}


def test_what_a_stream_carries(line: Line) -> None:
    stream = line.client.chat.completions.create(
        model="llama3.2", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ARGUMENTS
    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)
    assert last.usage is not None
    assert last.usage.total_tokens == 5
    assert last.model_extra == {"metadata": {"job": "7"}, "ollama": {"eval_duration": 9}}


def test_a_refusal_is_the_sdks_bad_request(line: Line) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        create(line, messages=[{"role": "user", "content": [{"type": "text"}]}])
    error = caught.value
    assert (error.param, error.code) == ("messages[0].content[0].text", "missing_required_parameter")
    assert (error.type, error.status_code) == ("invalid_request_error", 400)


def test_a_failure_within_a_stream_is_raised(line: Line) -> None:
    line.answer = [Delta(text="Hi"), Failure(HostBroken("The connection to the model was cut."))]
    stream = line.client.chat.completions.create(model="llama3.2", messages=HELLO, stream=True)
    with pytest.raises(openai.APIError, match=r"The connection to the model was cut\."):
        list(stream)
