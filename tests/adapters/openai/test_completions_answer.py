from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types import Completion as SdkCompletion

from adapters.errors import HostBroken, HostTimeout, InvalidRequest
from adapters.openai.completions import (
    AnswerEncoder,
    ChoicesStreamEncoder,
    Completion,
    Head,
    StreamEncoder,
    total_usage,
)
from adapters.types import Alternative, Delta, Event, Failure, Finish, GenerateRequest, TokenLogprob, Usage
from tests.adapters.openai.answers import events

HEAD = Head(id="cmpl-1", created=1700000000, model="llama3.2")
FULL_HEAD = Head(id="cmpl-1", created=1700000000, model="llama3.2", fingerprint="fp_1")
SHARED = '{"id":"cmpl-1","object":"text_completion","created":1700000000,"model":"llama3.2","system_fingerprint":null'
USAGE = Usage(prompt=11, completion=7, cached=3, thinking=2)
USAGE_JSON = (
    '{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18,'
    '"prompt_tokens_details":{"cached_tokens":3,"audio_tokens":0},'
    '"completion_tokens_details":{"reasoning_tokens":2,"audio_tokens":0,'
    '"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}'
)
STOP = Finish(reason="stop", usage=Usage(prompt=1, completion=1))
CUT = Finish(reason="length", usage=Usage(prompt=1, completion=1))
TIMED = Finish(reason="stop", usage=USAGE, timings={"total_duration": 9, "context": (1, 2)})
ACCOUNT = {"total_duration": 9, "context": [1, 2], "reasoning_tokens_estimated": True}


def completion(*prompts: str, n: int = 1, best_of: int | None = None, **fields: Any) -> Completion:
    prompts = prompts or ("Once",)
    request = GenerateRequest(model="llama3.2", prompt=prompts[0])
    return Completion(request=request, prompts=prompts, n=n, best_of=best_of or n, **fields)


def texts(*pieces: str) -> list[Event]:
    return [Delta(text=piece) for piece in pieces]


def token(text: str, logprob: float = -1.0, **others: float) -> TokenLogprob:
    alternatives = [Alternative(other, value) for other, value in others.items()]
    return TokenLogprob(text, logprob, None, alternatives)


def whole(*answers: list[Event], head: Head = HEAD, asked: Completion | None = None) -> dict[str, Any]:
    """Return a whole answer, judged by the SDK's type and by its keys."""
    encoder = AnswerEncoder(head, asked or completion())
    for index, pieces in enumerate(answers):
        encoder.feed(pieces, index)
    found: dict[str, Any] = json.loads(encoder.encode())
    SdkCompletion.model_validate(found, strict=True)
    assert found.keys() - {"ollama"} == {
        "id", "object", "created", "model", "system_fingerprint", "choices", "usage",
    }  # fmt: skip
    for choice in found["choices"]:
        assert choice.keys() - {"reasoning", "ollama"} == {"text", "index", "logprobs", "finish_reason"}
    return found


def stream(*pieces: Event, **fields: Any) -> bytes:
    return StreamEncoder(HEAD, completion(**fields)).encode(pieces)


def chunks(data: bytes) -> list[dict[str, Any]]:
    """Return the chunks of a stream that has ended well, each judged by the SDK's type."""
    *found, done = events(data)
    assert done == "[DONE]"
    parsed = [json.loads(chunk) for chunk in found]
    for chunk in parsed:
        unfinished = [{**choice, "finish_reason": choice["finish_reason"] or "stop"} for choice in chunk["choices"]]
        SdkCompletion.model_validate({**chunk, "choices": unfinished}, strict=True)
    return parsed


def piece(text: str, *, index: int = 0, more: str = "", logprobs: str = "null", finish: str = "null") -> str:
    return f'{{"index":{index},"text":{json.dumps(text)}{more},"logprobs":{logprobs},"finish_reason":{finish}}}'


# --- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pieces", "fields", "pieces_told"),
    [
        ([STOP], {}, [piece("", finish='"stop"')]),
        ([*texts("a", 'b"\n'), CUT], {}, [piece("a"), piece('b"\n'), piece("", finish='"length"')]),
        ([Delta(), *texts("a"), Delta(), STOP], {}, [piece("a"), piece("", finish='"stop"')]),
        ([*texts("a"), STOP, *texts("b")], {}, [piece("a"), piece("", finish='"stop"')]),
        (
            [Delta(thinking="hm"), Delta(thinking="so", text="a"), STOP],
            {},
            [
                piece("", more=',"reasoning":"hm"'),
                piece("", more=',"reasoning":"so"'),
                piece("a"),
                piece("", finish='"stop"'),
            ],
        ),
        ([*texts("a"), STOP], {"echo": True}, [piece("Once"), piece("a"), piece("", finish='"stop"')]),
        ([STOP], {"echo": True}, [piece("Once"), piece("", finish='"stop"')]),
    ],
)
def test_a_stream_is_exactly_these_chunks(pieces: list[Event], fields: dict[str, Any], pieces_told: list[str]) -> None:
    expected = [f'{SHARED},"choices":[{told}]}}' for told in pieces_told]
    assert events(stream(*pieces, **fields)) == [*expected, "[DONE]"]


def test_a_stream_ends_with_its_usage_when_it_is_wanted() -> None:
    assert events(stream(*texts("a"), TIMED, include_usage=True)) == [
        f'{SHARED},"choices":[{piece("a")}],"usage":null}}',
        f'{SHARED},"choices":[{piece("", finish=chr(34) + "stop" + chr(34))}],"usage":null}}',
        f'{SHARED},"choices":[],"usage":{USAGE_JSON},"ollama":{json.dumps(ACCOUNT, separators=(",", ":"))}}}',
        "[DONE]",
    ]


def test_what_the_host_says_of_its_work_is_in_the_last_chunk() -> None:
    *before, last = chunks(stream(*texts("a"), TIMED))
    assert last["ollama"] == ACCOUNT
    assert not any("ollama" in chunk for chunk in before)
    assert not any("ollama" in chunk for chunk in chunks(stream(*texts("a"), STOP, include_usage=True)))


def test_events_one_by_one_make_the_same_stream() -> None:
    pieces = [Delta(thinking="hm"), *texts("a", "b"), TIMED]
    asked = completion(echo=True, include_usage=True)
    encoder = StreamEncoder(HEAD, asked)
    assert b"".join(encoder.encode([event]) for event in pieces) == StreamEncoder(HEAD, asked).encode(pieces)
    assert encoder.ended


def test_no_events_are_no_bytes() -> None:
    assert StreamEncoder(HEAD, completion(echo=True)).encode([]) == b""


@pytest.mark.parametrize("echo", [True, False])
def test_a_failure_ends_a_stream(echo: bool) -> None:
    error = HostTimeout("Too slow.")
    [told] = events(stream(Failure(error), *texts("a"), STOP, echo=echo))
    assert json.loads(told)["error"]["code"] == "timeout"


def test_an_error_of_the_gateway_ends_a_stream_once() -> None:
    encoder = StreamEncoder(HEAD, completion())
    assert json.loads(events(encoder.fail(HostTimeout("Too slow.")))[0])["error"]["message"] == "Too slow."
    assert encoder.fail(HostTimeout("Too slow.")) == b""
    assert encoder.ended


def test_the_tokens_of_a_stream_go_on_where_the_text_is() -> None:
    pieces: list[Event] = [
        Delta(text="Red", logprobs=(token("Red", -0.5, Red=-0.5, Blue=-1.5),)),
        Delta(text=" fox"),
        Delta(text=" é!", logprobs=(token(" \ufffd"), token("\ufffd"), token("!"))),
        Delta(logprobs=(token("STOP"),)),
        STOP,
    ]
    told = [chunk["choices"][0]["logprobs"] for chunk in chunks(stream(*pieces, logprobs=1))]
    assert told == [
        {
            "tokens": ["Red"],
            "token_logprobs": [-0.5],
            "top_logprobs": [{"Red": -0.5, "Blue": -1.5}],
            "text_offset": [0],
        },
        None,
        {
            "tokens": [" \ufffd", "\ufffd", "!"],
            "token_logprobs": [-1.0] * 3,
            "top_logprobs": [{" \ufffd": -1.0}, {"\ufffd": -1.0}, {"!": -1.0}],
            "text_offset": [7, 7, 9],
        },
        {"tokens": ["STOP"], "token_logprobs": [-1.0], "top_logprobs": [{"STOP": -1.0}], "text_offset": [10]},
        None,
    ]


# --- streams of several choices ---------------------------------------------------------------------------------------


def test_choices_are_streamed_as_they_come_with_one_end() -> None:
    encoder = ChoicesStreamEncoder(HEAD, completion("a", "b", echo=True, include_usage=True))
    batches: list[list[tuple[int, list[Event]]]] = [
        [(1, texts("x")), (0, texts("y"))],
        [(1, [*texts("z"), TIMED])],
        [(0, [CUT])],
    ]
    ended, data = [], b""
    for batch in batches:
        data += encoder.encode(batch)
        ended.append(encoder.ended)
    assert ended == [False, False, True]
    *told, last = chunks(data)
    assert [
        (choice["index"], choice["text"], choice["finish_reason"]) for chunk in told for choice in chunk["choices"]
    ] == [
        (1, "b", None),
        (1, "x", None),
        (0, "a", None),
        (0, "y", None),
        (1, "z", None),
        (1, "", "stop"),
        (0, "", "length"),
    ]
    assert [chunk["choices"][0].get("ollama") for chunk in told] == [None] * 5 + [ACCOUNT, None]
    assert [chunk["usage"] for chunk in told] == [None] * 7
    assert (last["choices"], last["usage"]["prompt_tokens"], last["usage"]["completion_tokens"]) == ([], 12, 8)
    assert "ollama" not in last


def test_choices_of_a_prompt_begin_with_it() -> None:
    encoder = ChoicesStreamEncoder(HEAD, completion("a", "b", n=2, echo=True))
    told = chunks(encoder.encode([(index, [STOP]) for index in range(4)]))
    assert [chunk["choices"][0]["text"] for chunk in told] == ["a", "", "a", "", "b", "", "b", ""]


def test_one_failure_ends_all_choices() -> None:
    encoder = ChoicesStreamEncoder(HEAD, completion(n=2))
    data = encoder.encode([(0, texts("x")), (1, [Failure(HostTimeout("Too slow."))]), (0, [STOP])])
    assert encoder.ended
    assert [list(json.loads(event)) for event in events(data)][-1] == ["error"]
    assert len(events(data)) == 2
    assert encoder.encode([(0, [STOP])]) == encoder.fail(HostTimeout("Too slow.")) == b""


def test_an_error_of_the_gateway_ends_all_choices() -> None:
    encoder = ChoicesStreamEncoder(HEAD, completion(n=2))
    assert b"Too slow." in encoder.fail(HostTimeout("Too slow."))
    assert encoder.ended


# --- whole answers ----------------------------------------------------------------------------------------------------


def test_a_whole_answer() -> None:
    assert whole([*texts("Hi", " you"), TIMED], head=FULL_HEAD) == {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1700000000,
        "model": "llama3.2",
        "system_fingerprint": "fp_1",
        "choices": [{"text": "Hi you", "index": 0, "logprobs": None, "finish_reason": "stop"}],
        "usage": json.loads(USAGE_JSON),
        "ollama": ACCOUNT,
    }


def test_a_host_that_says_nothing_of_its_work_leaves_nothing() -> None:
    assert "ollama" not in whole([*texts("Hi"), STOP])


def test_the_prompt_comes_back_when_it_is_wanted() -> None:
    assert whole([*texts("Hi"), STOP], asked=completion(echo=True))["choices"][0]["text"] == "OnceHi"


def test_thoughts_stand_beside_the_text() -> None:
    [choice] = whole([Delta(thinking="hm"), Delta(thinking=".", text="Hi"), STOP])["choices"]
    assert (choice["text"], choice["reasoning"]) == ("Hi", "hm.")


def test_after_the_end_nothing_counts() -> None:
    assert whole([*texts("Hi"), STOP, *texts("!")])["choices"][0]["text"] == "Hi"


def test_choices_are_numbered_by_prompt_and_each_has_its_account() -> None:
    answers = [[*texts(text), finish] for text, finish in (("1", TIMED), ("2", CUT), ("3", TIMED), ("4", STOP))]
    found = whole(*answers, asked=completion("a", "b", n=2, echo=True))
    assert [(choice["index"], choice["text"], choice["finish_reason"]) for choice in found["choices"]] == [
        (0, "a1", "stop"),
        (1, "a2", "length"),
        (2, "b3", "stop"),
        (3, "b4", "stop"),
    ]
    assert [choice.get("ollama") for choice in found["choices"]] == [ACCOUNT, None, ACCOUNT, None]
    assert "ollama" not in found
    assert (found["usage"]["prompt_tokens"], found["usage"]["completion_tokens"]) == (22, 16)


def likely(text: str, *logprobs: float, finish: Finish = STOP) -> list[Event]:
    return [Delta(text=text, logprobs=tuple(token("x", logprob) for logprob in logprobs)), finish]


def test_the_best_are_those_whose_tokens_are_likeliest_on_average() -> None:
    answers = [
        likely("long and likely", -0.1, -0.1, -0.1, -0.1),
        likely("unlikely", -3.0),
        likely("short", -0.2),
        likely("", finish=CUT),
        likely("x", -2.0, finish=TIMED),
        likely("y", -1.0),
        likely("z", -1.5),
        likely("w", -0.5),
    ]
    found = whole(*answers, asked=completion("a", "b", n=2, best_of=4))
    assert [(choice["index"], choice["text"]) for choice in found["choices"]] == [
        (0, "long and likely"),
        (1, "short"),
        (2, "w"),
        (3, "y"),
    ]
    assert all(choice["logprobs"] is None for choice in found["choices"])
    assert (found["usage"]["prompt_tokens"], found["usage"]["completion_tokens"]) == (12, 14)


def test_the_best_of_several_is_one_choice_with_its_account_beside_it() -> None:
    found = whole(likely("x", -1.0), likely("y", -0.5, finish=TIMED), asked=completion(best_of=2, logprobs=0))
    [choice] = found["choices"]
    assert (choice["text"], choice["logprobs"]["tokens"]) == ("y", ["x"])
    assert found["ollama"] == ACCOUNT


def test_nothing_is_best_where_hosts_do_not_tell_how_likely_it_is() -> None:
    with pytest.raises(InvalidRequest) as caught:
        whole(likely("x", -1.0), [*texts("y"), STOP], asked=completion(best_of=2))
    assert (caught.value.param, caught.value.code) == ("best_of", "unsupported_parameter")


def test_an_answer_without_its_end_is_no_answer() -> None:
    with pytest.raises(HostBroken):
        whole(texts("Hi"))


def test_a_failure_is_raised() -> None:
    with pytest.raises(HostTimeout):
        whole([*texts("Hi"), Failure(HostTimeout("Too slow."))])


@pytest.mark.parametrize(
    ("pieces", "tokens", "offsets"),
    [
        (["Red fox"], ["Red", " fox"], [0, 3]),
        (["Red", " fox"], ["Red", " fox"], [0, 3]),
        (["caf", "é", ", ok"], ["caf", "\ufffd", "\ufffd", ", ok"], [0, 3, 3, 4]),
        (["Hi", "!"], [">\n\nHi", "!"], [0, 2]),
        (["a a a"], ["a", " a", " a", " STOP"], [0, 1, 3, 5]),
        (["🙂日"], ["🙂", "日"], [0, 1]),
        (["abc"], ["c", "b"], [0, 1]),
        (["x"], [""], [0]),
    ],
)
def test_each_token_begins_where_it_stands_in_the_text(
    pieces: list[str], tokens: list[str], offsets: list[int]
) -> None:
    deltas: list[Event] = [Delta(text="".join(pieces), logprobs=tuple(map(token, tokens)))]
    [choice] = whole([*deltas, STOP], asked=completion(logprobs=0))["choices"]
    assert choice["logprobs"]["text_offset"] == offsets
    assert choice["logprobs"]["tokens"] == tokens


def test_a_host_that_tells_no_log_probabilities_leaves_none() -> None:
    [choice] = whole([*texts("Hi"), STOP], asked=completion(logprobs=2))["choices"]
    assert choice["logprobs"] is None


# --- usage ------------------------------------------------------------------------------------------------------------


def test_each_prompt_counts_once_and_every_answer_that_was_made() -> None:
    usages = [Usage(prompt=prompt, completion=1) for prompt in (5, 5, 7, 7)]
    assert total_usage(usages, completion("a", "b", best_of=2)) == Usage(prompt=12, completion=4)
    assert total_usage(usages[:1], completion()) == usages[0]
