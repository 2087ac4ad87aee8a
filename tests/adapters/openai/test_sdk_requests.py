"""The OpenAI SDK as judge: what it sends is decoded, what it reads is encoded, and no socket is opened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from msgspec import Raw
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from adapters.errors import GatewayError, HostBroken
from adapters.openai.chat import AnswerEncoder, Head, StreamEncoder, decode_request
from adapters.openai.errors import encode_error
from adapters.types import ChatRequest, Delta, Event, Failure, Finish, Message, Tool, ToolCall, Usage
from tests.adapters.openai.test_media import PNG, PNG_URL

HEAD = Head(id="chatcmpl-1", created=1700000000, model="llama3.2", metadata={"job": "7"})
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


class Line:
    """A client of the SDK with, in place of a network, this dialect on the other end.

    Attributes:
        client: The client.
        answer: What each request is answered with.
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
            decoded = decode_request(request.read())
            self.requests.append(decoded)
            if decoded.stream:
                stream = StreamEncoder(HEAD, include_usage=decoded.include_usage).encode(self.answer)
                return httpx2.Response(200, content=stream, headers={"content-type": "text/event-stream"})
            encoder = AnswerEncoder(HEAD)
            encoder.feed(self.answer)
            return httpx2.Response(200, content=encoder.encode(), headers={"content-type": "application/json"})
        except GatewayError as error:
            return httpx2.Response(error.status, content=encode_error(error))


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
            {"tools": (Tool(name="Weather", parameters=SCHEMA),)},
        ),
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
    assert line.requests[0].format == SCHEMA
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
