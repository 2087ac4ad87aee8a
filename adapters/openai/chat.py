"""The dialect of `POST /v1/chat/completions`: requests in, answers out."""

from __future__ import annotations

from adapters.openai.chat_answer import AnswerEncoder, Head, StreamEncoder
from adapters.openai.chat_request import decode_request

__all__ = ["AnswerEncoder", "Head", "StreamEncoder", "decode_request"]
