"""Token ids become the text that tiktoken made them of, or an error that says what to do."""

from __future__ import annotations

import asyncio
import shutil
import tempfile

import pytest
import tiktoken
from hypothesis import given, strategies

from adapters.errors import BodyTooLarge, InvalidRequest
from gateway import tokens
from gateway.simulator import Simulator, demo
from gateway.tokens import FILE, Detokenizer
from tests.interop.installed import TIKTOKEN
from tests.running import running

NO_TABLE = (
    "'input[1]' is a list of token ids, and this gateway has no table to turn them back into text. Send text instead: "
    "with LangChain, OpenAIEmbeddings(check_embedding_ctx_length=False). To have token ids accepted, whoever runs the "
    "gateway fetches the table once, where it runs: pip install 'ollama-gateway[tiktoken]', then "
    "python -c \"import tiktoken; tiktoken.get_encoding('cl100k_base')\"."
)


@pytest.fixture(autouse=True)
def _folder(monkeypatch):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(TIKTOKEN))
    monkeypatch.delenv("DATA_GYM_CACHE_DIR", raising=False)


@pytest.fixture(scope="module")
def detokenizer():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(TIKTOKEN))
        detokenizer = Detokenizer()
        asyncio.run(detokenizer.text([0], param="input"))
    return detokenizer


@pytest.fixture(scope="module")
def encoding():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(TIKTOKEN))
        return tiktoken.get_encoding("cl100k_base")


@given(text=strategies.text())
def test_what_tiktoken_encodes_comes_back(detokenizer, encoding, text):
    ids = encoding.encode(text, disallowed_special=())

    assert asyncio.run(detokenizer.text(ids, param="input")) == text


def test_the_table_is_the_one_that_tiktoken_reads(encoding):
    table = {encoding.encode_single_token(token): token for token in encoding.token_byte_values()}
    specials = {encoding.encode_single_token(token): token for token in encoding.special_tokens_set}

    assert tokens._read("input") == table
    assert specials == tokens.SPECIAL


async def test_a_character_that_was_cut_is_replaced(detokenizer, encoding):
    ids = encoding.encode("🙂")

    assert len(ids) > 1
    assert await detokenizer.text(ids[:-1], param="input") == "\ufffd"
    assert await detokenizer.text([*ids[:-1], *encoding.encode("!")], param="input") == "\ufffd!"


@pytest.mark.parametrize(
    ("ids", "param", "message"),
    [
        ([-1], "input[0]", "'input[0]' is -1, which is no token of cl100k_base. Token ids must be of that encoding. "),
        (
            [9906, 100256],
            "input[1]",
            "'input[1]' is 100256, which is no token of cl100k_base. Token ids must be of that encoding. ",
        ),
        ([2**80], "input[0]", f"'input[0]' is {2**80}, which is no token of cl100k_base. Token ids must be of that "),
        (
            [9906, 1917, 100257],
            "input[2]",
            "'input[2]' is 100257, the special token <|endoftext|> of cl100k_base, which stands for no text. Leave it "
            "out, or send text.",
        ),
        ([100276], "input[0]", "'input[0]' is 100276, the special token <|endofprompt|> of cl100k_base, which stands "),
    ],
)
async def test_an_id_that_is_no_token_of_text_is_named(detokenizer, ids, param, message):
    with pytest.raises(InvalidRequest) as caught:
        await detokenizer.text(ids, param="input")

    assert caught.value.message.startswith(message)
    assert caught.value.message.endswith(" Leave it out, or send text.")
    assert caught.value.param == param
    assert caught.value.code == "invalid_value"


async def test_a_few_ids_that_stand_for_very_much_are_refused(detokenizer):
    spaces = [58040] * 10

    assert await detokenizer.text(spaces, param="input", most=1280) == " " * 1280
    with pytest.raises(BodyTooLarge) as caught:
        await detokenizer.text(spaces, param="input[3]", most=1279)
    assert caught.value.message == (
        "The texts that the token ids stand for are together larger than a request may be here (`max_body`). "
        "Send the inputs in several requests."
    )
    assert caught.value.param == "input[3]"


async def test_the_texts_of_all_ids_together_are_no_longer_than_a_body_may_be():
    spaces = [58040] * 8
    async with Simulator(models=[demo]) as host, running(host, max_body=2048) as gateway:
        answers = [
            await gateway.client.post("/v1/embeddings", json={"model": demo.name, "input": [spaces] * count})
            for count in (2, 3)
        ]

    assert answers[0].status_code != 413
    assert answers[1].status_code == 413
    assert answers[1].json()["error"]["code"] == "request_too_large"
    assert answers[1].json()["error"]["param"] == "input[2]"


def _missing(folder, monkeypatch):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder / "nowhere"))
    return f"{folder / 'nowhere' / FILE} cannot be read: No such file or directory"


def _missing_where_nothing_is_said(folder, monkeypatch):
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return f"{folder / 'data-gym-cache' / FILE} cannot be read: No such file or directory"


def _switched_off(folder, monkeypatch):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", str(TIKTOKEN))
    return "tiktoken's cache is switched off: the variable that names its folder is empty"


def _damaged(folder, monkeypatch):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
    (folder / FILE).write_bytes((TIKTOKEN / FILE).read_bytes()[:-1])
    return f"{folder / FILE} is damaged: its SHA-256 is not {tokens.SHA256}"


@pytest.mark.parametrize("arrange", [_missing, _missing_where_nothing_is_said, _switched_off, _damaged])
async def test_without_the_table_the_error_says_what_to_do(tmp_path, monkeypatch, arrange):
    detail = arrange(tmp_path, monkeypatch)
    with pytest.raises(InvalidRequest) as caught:
        await Detokenizer().text([9906], param="input[1]")

    assert caught.value.message == NO_TABLE
    assert (caught.value.param, caught.value.code) == ("input[1]", "unsupported_value")
    assert caught.value.detail == detail


@pytest.mark.parametrize(
    ("variables", "folder"),
    [({"TIKTOKEN_CACHE_DIR": "a"}, "a"), ({"DATA_GYM_CACHE_DIR": "b"}, "b"), ({}, "tmp/data-gym-cache")],
)
async def test_the_table_is_found_where_tiktoken_keeps_it(tmp_path, monkeypatch, variables, folder):
    """Tiktoken itself says which folder that is: it would fetch what it does not find there."""
    (tmp_path / folder).mkdir(parents=True)
    shutil.copy(TIKTOKEN / FILE, tmp_path / folder)
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    for name, place in variables.items():
        monkeypatch.setenv(name, str(tmp_path / place))
    monkeypatch.setattr("tiktoken.load.read_file", None)
    monkeypatch.setattr("tiktoken.registry.ENCODINGS", {})

    assert tiktoken.get_encoding("cl100k_base").encode("Hello") == [9906]
    assert await Detokenizer().text([9906], param="input") == "Hello"


async def test_a_table_that_comes_later_is_found_and_read_once(tmp_path, monkeypatch):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    reads = []
    read = tokens._read

    def count(param):
        reads.append(param)
        return read(param)

    monkeypatch.setattr(tokens, "_read", count)
    detokenizer = Detokenizer()
    with pytest.raises(InvalidRequest):
        await detokenizer.text([9906], param="early")
    shutil.copy(TIKTOKEN / FILE, tmp_path)
    texts = await asyncio.gather(*(detokenizer.text([9906], param=f"input[{place}]") for place in range(8)))

    assert texts == ["Hello"] * 8
    assert reads == ["early", "input[0]"]


async def test_an_embedding_of_token_ids_without_the_table_is_refused_and_no_host_is_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    async with Simulator(models=[demo]) as host, running(host) as gateway:
        for ids, param in ([15339, 1917], "input"), ([[15339], [1917]], "input[0]"):
            answer = await gateway.client.post("/v1/embeddings", json={"model": "demo", "input": ids})
            error = answer.json()["error"]

            assert (answer.status_code, error["param"]) == (400, param)
            assert "check_embedding_ctx_length=False" in error["message"]
        assert [request.path for request in host.requests if request.path == "/api/embed"] == []
