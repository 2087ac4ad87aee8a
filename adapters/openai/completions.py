"""The dialect of `POST /v1/completions`: requests in, answers out."""

from __future__ import annotations

from adapters.openai.completions_answer import AnswerEncoder, Head, total_usage
from adapters.openai.completions_request import Completion, decode_request, split_choices
from adapters.openai.completions_stream import ChoicesStreamEncoder, StreamEncoder

__all__ = [
    "AnswerEncoder",
    "ChoicesStreamEncoder",
    "Completion",
    "Head",
    "StreamEncoder",
    "decode_request",
    "split_choices",
    "total_usage",
]
