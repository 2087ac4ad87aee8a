"""Files that a request brings."""

from __future__ import annotations

import base64
from typing import Any

import openai
import pytest

from tests.conformance.rows import CHAT, shows
from tests.e2e.calling import Caller
from tests.e2e.conftest import Ask, Host

pytestmark = pytest.mark.asyncio(loop_scope="package")

FILE = "messages[].content[].file"

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(250, 256))


def url(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def bringing(**file: str) -> list[Any]:
    return [{"role": "user", "content": [{"type": "text", "text": "Read this."}, {"type": "file", "file": file}]}]


@shows(CHAT, "honoured", f"{FILE}.file_data", remark="text and JSON as text, images and sounds as what they are")
@shows(CHAT, "honoured", f"{FILE}.filename", remark="of a text")
async def test_text_stands_in_the_message_under_its_name(ask: Ask, host: Host) -> None:
    await ask("chat", bringing(filename="notes.txt", file_data=url("Café\n".encode(), "text/plain")))

    [chat] = host.chats
    content = "Read this.\n--- File: notes.txt ---\nCafé\n--- End of notes.txt ---"
    assert chat["messages"] == [{"role": "user", "content": content}]


@shows(CHAT, "honoured", f"{FILE}.file_data", remark="text and JSON as text, images and sounds as what they are")
async def test_an_image_is_an_image(ask: Ask, host: Host) -> None:
    await ask("see", bringing(filename="a.png", file_data=url(PNG, "image/png")))

    [chat] = host.chats
    images = [base64.b64encode(PNG).decode()]
    assert chat["messages"] == [{"role": "user", "content": "Read this.", "images": images}]


@pytest.mark.parametrize(
    ("file", "field", "words"),
    [
        pytest.param(
            {"filename": "a.pdf", "file_data": url(b"%PDF-1.7", "application/pdf")},
            "file_data",
            "application/pdf",
            id="a PDF",
            marks=shows(CHAT, "refused", f"{FILE}.file_data", remark="PDF, and whatever else no model reads"),
        ),
        pytest.param(
            {"file_id": "file-abc"},
            "file_id",
            "no uploaded files",
            id="an uploaded file",
            marks=shows(CHAT, "refused", f"{FILE}.file_id"),
        ),
    ],
)
async def test_a_file_that_no_model_reads_is_refused(
    ask: Ask, host: Host, caller: Caller, file: dict[str, str], field: str, words: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=words) as caught:
        await ask("see", bringing(**file))

    assert (caught.value.param, caught.value.code) == (f"messages[0].content[1].file.{field}", "unsupported_value")
    assert len(caller.answers) == 1
    assert host.chats == []
