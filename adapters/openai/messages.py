"""The conversation: every role and form of content that OpenAI's callers send (wire.md 4)."""

from __future__ import annotations

from adapters.errors import InvalidRequest
from adapters.openai.fields import Fields, Ignored, missing, not_among, wrong_type
from adapters.openai.files import decode_file
from adapters.openai.media import decode_audio, decode_image
from adapters.openai.tool_calls import History, decode_calls
from adapters.types import Media, Message, Role

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",  # most templates drop a role that they do not know
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}

PARTS = ("text", "image_url", "input_audio", "file", "refusal")

_THINKING = ("reasoning", "reasoning_content", "thinking")
"""Names under which servers send thinking and callers send it back, as one text."""

_MESSAGE = frozenset(
    {"role", "content", "tool_calls", "tool_call_id", "function_call", "refusal", "reasoning_details", *_THINKING}
    | {"annotations"}  # of a web search: what an answer tells of its text
)
"""Fields of a message that are read. `name` is, where it is a function's."""

_RESULT = _MESSAGE | {"name"}
_PART = frozenset({"type", *PARTS, "annotations"})


def decode_messages(request: Fields, ignored: Ignored) -> tuple[Message, ...]:
    """Read the field `messages`.

    Raises:
        InvalidRequest: It is missing, empty, or one of the messages cannot be read; the param names the place.
    """
    messages = request.objects("messages")
    if not messages:
        if request.get("messages") is None:
            raise missing("messages")
        text = "Invalid 'messages': empty array. Expected an array with minimum length 1."
        raise InvalidRequest(text, param="messages", code="empty_array")
    history = History()
    return tuple(_decode_message(message, place, history, ignored) for place, message in enumerate(messages))


def _decode_message(message: Fields, place: int, history: History, ignored: Ignored) -> Message:
    name = message.required_string("role")
    role = ROLES.get(name)
    if role is None:
        raise not_among(message.at("role"), name, tuple(ROLES))
    for field in message.unknown(_RESULT if role == "tool" else _MESSAGE):
        ignored.add(f"messages[].{field}")
    text, media = _decode_content(message, ignored)
    if role == "assistant":
        calls = decode_calls(message, place)
        history.add(calls)
        refusal = message.string("refusal")
        return Message(
            role=role,
            text="\n".join(filter(None, (text, refusal))),
            thinking=_decode_thinking(message),
            media=media,
            tool_calls=calls,
        )
    if role == "tool":
        call_id, tool_name = history.answer(message)
        return Message(role=role, text=text, media=media, tool_call_id=call_id, tool_name=tool_name)
    return Message(role=role, text=text, media=media)


def _decode_content(message: Fields, ignored: Ignored) -> tuple[str, tuple[Media, ...]]:
    """Return the text of a message, its parts joined by newlines, and its media in order."""
    content = message.get("content")
    if content is None:
        return "", ()
    if isinstance(content, str):
        return content, ()
    if not isinstance(content, list):
        raise wrong_type(message.at("content"), "a string or an array of content parts", content)
    texts: list[str] = []
    media: list[Media] = []
    for part in message.objects("content"):
        for field in part.unknown(_PART):
            ignored.add(f"messages[].content[].{field}")
        kind = part.required_string("type")
        match kind:
            case "text" | "refusal":
                texts.append(part.required_string(kind))
            case "image_url":
                media.append(decode_image(part, ignored))
            case "input_audio":
                media.append(decode_audio(part))
            case "file":
                content = decode_file(part, ignored)
                if isinstance(content, Media):
                    media.append(content)
                else:
                    texts.append(content)
            case _:
                raise not_among(part.at("type"), kind, PARTS)
    return "\n".join(texts), tuple(media)


def _decode_thinking(message: Fields) -> str:
    """Return what an assistant thought. Servers send it under several names at once, so the first one counts."""
    for name in _THINKING:
        if text := message.string(name):
            return text
    return "".join(detail.string("text") or "" for detail in message.objects("reasoning_details"))
