"""The dialect of `POST /v1/chat/completions`: requests in, answers out."""

from __future__ import annotations

from adapters.openai.chat_answer import AnswerEncoder, Head
from adapters.openai.chat_request import decode_request, split_choices
from adapters.openai.chat_stream import ChoicesStreamEncoder, StreamEncoder

__all__ = ["AnswerEncoder", "ChoicesStreamEncoder", "Head", "StreamEncoder", "decode_request", "split_choices"]
