"""Requests that are wrong, or mean to deceive: refused in Ollama's shape, and read by the gateway as by the host."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.config import KeySettings
from tests.native.trio import CHAT, GENERATE, PATHS, SHOW, Trio, is_refusal, trio

SECRET = "sk-alice-0123456789"
KEY = {"authorization": f"Bearer {SECRET}"}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def serving() -> AsyncIterator[Trio]:
    keys = (KeySettings(name="alice", secret=SECRET),)
    async with trio(keys=keys, max_body=1_000_000) as three:
        yield three


# --- who may ask ------------------------------------------------------------------------------------------------------

GOOD = [KEY, {"authorization": f"bearer  {SECRET}"}, {"x-api-key": SECRET}]
BAD: list[dict[str, str]] = [
    {},
    {"authorization": "Bearer"},
    {"authorization": "Bearer sk-bob"},
    {"authorization": SECRET},
    {"authorization": f"Basic {SECRET}"},
    {"x-api-key": "ollama"},
]


@pytest.mark.parametrize("path", PATHS)
async def test_a_key_that_is_known_lets_a_request_in(three, path):
    model = "tiny-embed" if path.startswith("/api/embed") else "tiny-plain"

    assert [(await three.ask(path, model=model, headers=key)).status_code for key in GOOD] == [200, 200, 200]


@pytest.mark.parametrize("headers", BAD, ids=str)
@pytest.mark.parametrize("path", PATHS)
async def test_any_other_is_told_so_in_ollamas_shape(three, path, headers):
    answer = await three.ask(path, model="tiny-plain", headers=headers)

    assert is_refusal(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert three.sent(path) == []


# --- bodies that go to no host ----------------------------------------------------------------------------------------

MALFORMED = [
    (b"", "missing request body"),
    (b"{", "unexpected EOF"),
    (b'{"model":"tiny-plain","messages":[', "unexpected EOF"),
    (b"hello", "invalid character 'h' looking for beginning of value"),
    (b"'", "invalid character '\\'' looking for beginning of value"),
]


@pytest.mark.parametrize(("body", "words"), MALFORMED, ids=[str(body) for body, _ in MALFORMED])
@pytest.mark.parametrize("path", PATHS)
async def test_what_is_no_json_is_refused_in_gos_words(three, path, body, words):
    answer = await three.ask(path, body, headers=KEY)

    assert is_refusal(answer, 400)
    assert answer.json()["error"] == words
    assert answer.headers["x-should-retry"] == "false"
    assert three.sent(path) == []


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_a_body_over_the_limit_is_refused(three, path, chunked):
    body = json.dumps({"model": "tiny-plain", "x": "y" * 1_000_000}).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    answer = await three.gateway.client.post(path, content=pieces() if chunked else body, headers=KEY)

    assert is_refusal(answer, 413)
    assert three.sent(path) == []


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_within_the_limit_is_not(three, path):
    body = json.dumps({"model": "tiny-embed", "x": "y" * 900_000}).encode()

    assert (await three.ask(path, body, headers=KEY)).status_code == (400 if path in (CHAT, GENERATE) else 200)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
async def test_a_compressed_body_is_refused(three, path, coding):
    body = gzip.compress(b'{"model":"tiny-plain"}')
    answer = await three.ask(path, body, headers={**KEY, "content-encoding": coding})

    assert is_refusal(answer, 415)
    assert three.sent(path) == []


BOMB = b'{"model":"tiny-plain","stream":false,"messages":[{"role":"user","content":"hi"}],"x":%b}'
DEEP = [
    b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    b"[" * 300_000,
]


@pytest.mark.parametrize("value", DEEP, ids=["lists", "objects", "open lists"])
async def test_json_that_is_too_deep_goes_to_no_host(three, value):
    answer = await three.ask(CHAT, BOMB % value, headers=KEY)

    assert is_refusal(answer, 400)
    assert three.sent(CHAT) == []


HUGE = [
    b"1" * 4_000,
    b"-1e99999",
    b'"' + b"\\u0041" * 100_000 + b'"',
    b"[" + b"{}," * 100_000 + b"{}]",
    b"{" + b",".join(b'"k%d":%d' % (number, number) for number in range(40_000)) + b"}",
    b"[" * 200 + b"]" * 200,
]


@pytest.mark.parametrize(
    "value", HUGE, ids=["a number", "beyond numbers", "escapes", "a list", "an object", "somewhat deep"]
)
async def test_json_that_is_huge_is_passed_on_as_it_is(three, value):
    body = BOMB % value
    answer = await three.ask(CHAT, body, headers=KEY)

    assert answer.status_code == 200
    assert three.sent(CHAT) == [("old", body)]


@pytest.mark.parametrize(
    "options",
    [b'{"num_ctx":' + b"9" * 4_000 + b"}", b'{"temperature":1e999}', b"[" * 5_000 + b"]" * 5_000, b'"many"'],
    ids=["a number", "beyond numbers", "too deep", "a text"],
)
async def test_options_that_cannot_be_merged_do_no_harm(three, options):
    body = b'{"model":"tuned","stream":false,"messages":[],"options":%b}' % options
    answer = await three.ask(CHAT, body, headers=KEY)

    assert answer.status_code in (200, 400, 500)
    assert answer.json()
    assert (await three.ask(CHAT, model="tuned", headers=KEY)).status_code == 200


# --- what a host would read otherwise ---------------------------------------------------------------------------------

ONE_READING = {
    "another case": (b'{"Model":"see"}', "see"),
    "capitals": (b'{"MODEL":"see"}', "see"),
    "escapes": (b'{"\\u006dodel":"\\u0073ee"}', "see"),
    "the field twice": (b'{"model":"tiny-plain","model":"see"}', "see"),
    "null after it": (b'{"model":"see","model":null}', None),
    "null before it": (b'{"model":null,"model":"see"}', "see"),
    "a letter that only looks alike": (b'{"model":"see","m\xd0\xbedel":"tiny-plain"}', "see"),
    "a letter that folds to two": ('{"model":"see","stream":false,"me\u00dfages":[]}'.encode(), "see"),
    "within another field": (b'{"options":{"model":"tiny-plain"},"model":"see","x":[{"model":"tiny-plain"}]}', "see"),
    "within a text": (b'{"x":"\\",\\"model\\":\\"tiny-plain","model":"see"}', "see"),
    "a byte that is no text": (b'{"model":"see","x":"\xff\xfe"}', "see"),
    "a name with a byte that is no text": (b'{"model":"see\xff"}', None),
    "a name with half of a character": (b'{"model":"see\\ud83d"}', None),
    "a name with a zero": (b'{"model":"see\\u0000"}', None),
    "a name with a letter that folds": ('{"model":"\u017fee"}'.encode(), None),
    "the older field": (b'{"name":"see"}', None),
    "a list": (b'[{"model":"see"}]', None),
}
"""Bodies that a careless reader reads otherwise, with the model that they ask for; None for none that there is."""


def model_read_by_go(body: bytes) -> str:
    """Return the model that Go's decoder reads: the last that is there in any case, and no null."""
    pairs = json.loads(body.decode(errors="replace"), object_pairs_hook=lambda pairs: pairs)
    names = [value for key, value in pairs if key.lower() == "model" and value is not None] if body[:1] == b"{" else []
    return names[-1] if names else ""


@pytest.mark.parametrize(("body", "model"), ONE_READING.values(), ids=ONE_READING)
async def test_the_gateway_routes_by_the_name_that_the_host_reads(three, body, model):
    answer = await three.ask(CHAT, body, headers=KEY)

    [(host, sent)] = three.sent(CHAT)
    read = model_read_by_go(sent)
    if model is None:
        assert 400 <= answer.status_code < 500
        assert three.hosts[host].find(read) is None
    else:
        assert (answer.status_code, host, read) == (200, "new", model)


REFUSED = {
    "in two cases": b'{"model":"tiny-plain","Model":"see"}',
    "in two cases, the other way round": b'{"MODEL":"see","model":"tiny-plain"}',
    "in two cases, one escaped": b'{"model":"tiny-plain","\\u004dodel":"see"}',
    "in two cases, one null": b'{"model":"see","Model":null}',
    "the older field in two cases": b'{"name":"see","NAME":"tiny-plain"}',
    "a field in two cases": b'{"model":"see","messages":[],"Messages":[{"role":"user"}],"keep_alive":0}',
    "a Kelvin sign": '{"model":"see","keep_alive":0,"\u212aeep_alive":5}'.encode(),
    "a long s": '{"model":"see","stream":false,"\u017ftream":true}'.encode(),
    "a second object": b'{"model":"see"}{"model":"tiny-plain"}',
    "a second object on another line": b'{"model":"see"}\n{"model":"tiny-plain"}\n',
    "something after it": b'{"model":"see"}x',
    "a zero after it": b'{"model":"see"}\x00',
    "a byte order mark": b'\xef\xbb\xbf{"model":"see"}',
    "a name that is no text": b'{"mod\xffel":"tiny-plain","model":"see"}',
    "a comma too many": b'{"model":"see",}',
    "UTF-16": '{"model":"see"}'.encode("utf-16"),
}


@pytest.mark.parametrize("path", [CHAT, SHOW])
@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
async def test_what_can_be_read_in_two_ways_goes_to_no_host(three, body, path):
    answer = await three.ask(path, body, headers=KEY)

    assert is_refusal(answer, 400)
    assert three.sent(path) == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"tiny-chat","keep_alive":0,"messages":[{"role":"user","content":"\xff"}]}',
        b'{"model":"tiny-chat","keep_alive":0,"messages":[{"role":"user","content":"\\ud83d"}]}',
        b'{"model":"tiny-chat","keep_alive":0,"messages":[{"role":"user","content":"a"}],"prompt":""}',
    ],
    ids=["a byte that is no text", "half of a character", "an empty prompt beside them"],
)
async def test_words_are_never_taken_for_none_and_sent_to_every_host(three, body):
    answer = await three.ask(CHAT, body, headers=KEY)

    assert answer.status_code == 200
    assert len(three.sent(CHAT)) == 1


async def test_the_gateways_own_header_of_hosts_means_nothing_here(three):
    answer = await three.ask(CHAT, model="see", headers={**KEY, "x-gateway-hosts": "jinja"})

    assert (answer.status_code, answer.headers["x-gateway-host"]) == (200, "new")
