"""Token ids back to text: some clients encode their texts before they ask for embeddings.

LangChain's `OpenAIEmbeddings` does by default (langchain issue 27448), with the encoding `cl100k_base`. A local model
has another vocabulary and needs the text. The table of the encoding is not part of this package: it is read from the
folder where tiktoken keeps what it fetched. Nothing here can fetch it, so that no request starts a download.
"""

from __future__ import annotations

import asyncio
import os
import sys
from binascii import a2b_base64
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

from adapters.errors import BodyTooLarge, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ENCODING = "cl100k_base"
"""What clients use for every embedding model of OpenAI, and LangChain for every model that tiktoken does not know."""

FILE = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
"""The table's name in tiktoken's cache: the SHA-1 of the address that tiktoken fetches it from."""

SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
"""Of the table; tiktoken expects the same."""

SPECIAL = {
    100257: "<|endoftext|>",
    100258: "<|fim_prefix|>",
    100259: "<|fim_middle|>",
    100260: "<|fim_suffix|>",
    100276: "<|endofprompt|>",
}
"""Tokens that stand for no text; they are not in the table."""


class Detokenizer:
    """Turns token ids of `cl100k_base` back into text.

    The table is read when it is first needed, in a thread, and kept: 100,256 tokens, 12 MB. As long as it is not there,
    every call looks again.
    """

    def __init__(self) -> None:
        self._table: Mapping[int, bytes] = {}
        self._reading = asyncio.Lock()

    async def text(self, ids: Sequence[int], *, param: str, most: int = sys.maxsize) -> str:
        """Return the text that token ids stand for; bytes that are no UTF-8 become U+FFFD.

        Clients cut long texts between tokens, which may be within a character.

        Args:
            ids: Token ids.
            param: The field that they came in, for errors.
            most: How many bytes they may stand for: a token may be 128 spaces.

        Raises:
            BodyTooLarge: They stand for more.
            InvalidRequest: An id is none of a text, or there is no table.
        """
        if not self._table:
            async with self._reading:
                self._table = self._table or await asyncio.to_thread(_read, param)
        try:
            parts = list(map(self._table.__getitem__, ids))
        except KeyError as error:
            raise _no_text(ids, error.args[0], param) from None
        if sum(map(len, parts)) > most:
            raise BodyTooLarge(
                "The texts that the token ids stand for are together larger than a request may be here (`max_body`). "
                "Send the inputs in several requests.",
                param=param,
            )
        return b"".join(parts).decode("utf-8", "replace")


def _read(param: str) -> Mapping[int, bytes]:
    """Read the table: a line for each token, base64 of its bytes and its id."""
    data = _cached(param)
    return {int(token): a2b_base64(text) for text, token in map(bytes.split, data.splitlines())}


def _cached(param: str) -> bytes:
    """Return the table as tiktoken keeps it. The folder may be one that everyone can write to, so it is checked."""
    default = f"{gettempdir()}/data-gym-cache"
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR", default))
    if not folder:
        raise _no_table(param, "tiktoken's cache is switched off: the variable that names its folder is empty")
    file = Path(folder, FILE)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise _no_table(param, f"{file} cannot be read: {error.strerror}") from error
    if sha256(data).hexdigest() != SHA256:
        raise _no_table(param, f"{file} is damaged: its SHA-256 is not {SHA256}")
    return data


def _no_table(param: str, detail: str) -> InvalidRequest:
    return InvalidRequest(
        f"'{param}' is a list of token ids, and this gateway has no table to turn them back into text. Send text "
        "instead: with LangChain, OpenAIEmbeddings(check_embedding_ctx_length=False). To have token ids accepted, "
        "whoever runs the gateway fetches the table once, where it runs: pip install 'ollama-gateway[tiktoken]', then "
        f"""python -c "import tiktoken; tiktoken.get_encoding('{ENCODING}')".""",
        param=param,
        code="unsupported_value",
        detail=detail,
    )


def _no_text(ids: Sequence[int], token: int, param: str) -> InvalidRequest:
    path = f"{param}[{ids.index(token)}]"
    if token in SPECIAL:
        message = f"'{path}' is {token}, the special token {SPECIAL[token]} of {ENCODING}, which stands for no text."
    else:
        message = f"'{path}' is {token}, which is no token of {ENCODING}. Token ids must be of that encoding."
    return InvalidRequest(f"{message} Leave it out, or send text.", param=path)
