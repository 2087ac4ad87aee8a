from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from adapters.errors import HostBroken
from adapters.ollama import inventory
from adapters.ollama.inventory import Version, decode_ps, decode_show, decode_tags, decode_version
from adapters.types import Model, Profile, Resident
from tests.adapters.ollama.recorded import recording, recordings

# --- calls ------------------------------------------------------------------------------------------------------------


def test_the_calls_are_those_that_were_recorded() -> None:
    for call in (inventory.VERSION, inventory.TAGS, inventory.PS):
        assert recordings(call.target, call.method)
        assert (call.headers, call.body) == ((), b"")


def test_a_model_is_shown_by_its_name() -> None:
    call = inventory.show('a/"b":c')
    assert (call.method, call.target) == ("POST", "/api/show")
    assert call.headers == ((b"content-type", b"application/json"),)
    assert json.loads(call.body) == {"model": 'a/"b":c'}


# --- version ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "expected"), [("0.24", Version(0, 24, 0, "0.24.0")), ("0.33", Version(0, 33, 0, "0.33.0"))]
)
def test_recorded_versions(folder: str, expected: Version) -> None:
    assert decode_version(recording(f"{folder}/misc-version").body) == expected


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0.33.0-rc2", (0, 33, 0)),
        ("v1.2.3", (1, 2, 3)),
        ("1.2", (1, 2, 0)),
        ("0.12.3-4-gabcdef", (0, 12, 3)),
    ],
)
def test_a_version_may_have_more_or_less_to_say(text: str, numbers: tuple[int, int, int]) -> None:
    version = decode_version(json.dumps({"version": text}).encode())
    assert (version.major, version.minor, version.patch) == numbers
    assert str(version) == text


@pytest.mark.parametrize("text", ["0.0.0", "dev", "", "9" * 5000, "0.0"])
def test_what_has_no_number_is_newer_than_every_release(text: str) -> None:
    version = decode_version(json.dumps({"version": text}).encode())
    assert version > Version(99, 0)
    assert version.text == text


def test_versions_are_in_the_order_of_releases() -> None:
    releases = [Version(0, 9, 1), Version(0, 22), Version(0, 22, 0, "0.22.0-rc1"), Version(0, 22, 1), Version(1, 0)]
    assert all(older < newer for older, newer in pairwise(releases))


def test_a_version_that_no_host_said_is_written_as_numbers() -> None:
    assert str(Version(0, 22)) == "0.22.0"


# --- tags and ps ------------------------------------------------------------------------------------------------------


def entries(body: bytes) -> list[Raw]:
    return msgspec.json.decode(body, type=dict[str, list[Raw]])["models"]


def test_recorded_tags() -> None:
    body = recording("0.24/tags").body
    models = decode_tags(body)
    assert models[0] == Model(
        name="tiny-chat:latest",
        digest="a0ed663156e41b55c450e89d49e2a5b68cb3940a2bf25aa7518dfcea6f92fe41",
        size=2877125,
        modified=1795407950,  # 2026-11-23T04:25:50.68101282Z
        context_length=32768,
        entry=entries(body)[0],
    )
    assert [model.name for model in models][:3] == ["tiny-chat:latest", "tiny-think:latest", "tiny-brace:latest"]


def test_recorded_residents() -> None:
    body = recording("0.33/ps-one-loaded").body
    assert decode_ps(body) == (
        Resident(
            name="tiny-chat:latest",
            digest="14ff64785b09d56dab9f7c0a8faa232915ee78a21f0b14799c81c5e2f95de6bf",
            size=13358858,
            size_vram=0,
            context_length=4096,
            entry=entries(body)[0],
        ),
    )


@pytest.mark.parametrize("decode", [decode_tags, decode_ps])
def test_what_a_host_says_of_a_model_is_kept_as_it_said_it(decode: Callable[[bytes], tuple[Any, ...]]) -> None:
    said = b'{ "name":"x:latest", "new":{"in":"0.99"}, "entry":"none of ours" }'
    assert bytes(decode(b'{"models":[%b]}' % said)[0].entry) == said


def test_models_are_alike_when_all_is_alike_that_their_host_says_of_them() -> None:
    body = recording("0.33/tags").body
    assert decode_tags(body) == decode_tags(body[:])
    assert decode_tags(body) != decode_tags(body.replace(b"gguf", b"mlx"))


@pytest.mark.parametrize("decode", [decode_tags, decode_ps])
@pytest.mark.parametrize("body", [b'{"models":[]}', b'{"models":null}'])
def test_a_host_may_have_nothing(decode: Callable[[bytes], tuple[Any, ...]], body: bytes) -> None:
    assert decode(body) == ()


def test_an_older_host_says_less() -> None:
    body = b'{"models":[{"name":"x:latest"}]}'
    assert decode_tags(body) == (Model(name="x:latest", entry=Raw(b'{"name":"x:latest"}')),)
    assert decode_ps(body) == (Resident(name="x:latest", entry=Raw(b'{"name":"x:latest"}')),)


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-23T04:25:50.68101282Z", 1795407950),
        ("2026-11-23T05:25:50+01:00", 1795407950),
        ("2026-11-22T22:55:50.9-05:30", 1795407950),
        ("2024-02-29t12:00:00z", 1709208000),
        ("1969-12-31T23:59:59Z", 0),
        ("0001-01-01T00:00:00Z", 0),
        ("0000-01-01T00:00:00Z", 0),
        ("2026-13-01T00:00:00Z", 0),
        ("yesterday", 0),
        ("", 0),
    ],
)
def test_moments_become_seconds(moment: str, seconds: int) -> None:
    body = json.dumps({"models": [{"name": "x", "modified_at": moment}]}).encode()
    assert decode_tags(body)[0].modified == seconds


# --- show -------------------------------------------------------------------------------------------------------------

CHAT_STOPS = ("<|im_start|>", "<|im_end|>")


@pytest.mark.parametrize(
    ("name", "capabilities", "stops", "lengths"),
    [
        ("0.24/show-tiny-chat", {"completion", "tools", "insert"}, CHAT_STOPS, (32768, 768)),
        ("0.33/show-tiny-chat", {"completion", "tools", "insert"}, CHAT_STOPS, (32768, 768)),
        ("0.33/show-tiny-native-think", {"completion", "tools", "thinking"}, (), (32768, 768)),
        ("0.33/show-tiny-vision-label", {"completion", "tools", "insert", "vision"}, CHAT_STOPS, (32768, 768)),
        ("0.24/show-tiny-plain", {"completion"}, (), (32768, 768)),
        ("0.24/show-tiny-embed", {"embedding"}, (), (64, 32)),
        ("0.33/show-tiny-embed", {"embedding"}, (), (64, 32)),
        ("0.24/show-made-3", {"completion"}, ("x", "y"), (32768, 768)),
    ],
)
def test_recorded_models(name: str, capabilities: set[str], stops: tuple[str, ...], lengths: tuple[int, int]) -> None:
    context_length, embedding_length = lengths
    assert decode_show(recording(name).body) == Profile(
        capabilities=frozenset(capabilities),
        stops=stops,
        context_length=context_length,
        embedding_length=embedding_length,
    )


@pytest.mark.parametrize(
    ("line", "stop"),
    [
        (r'stop                           "a b"', "a b"),
        (r'stop "\"quoted\" \\ and \t\n\a\b\f\r\v"', '"quoted" \\ and \t\n\a\b\f\r\v'),
        (r'stop "caf\u00e9 \U0001f642 \x7f"', "café 🙂 \x7f"),
        (r'stop "\ud800 \U7fffffff"', "\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER}"),
        ('stop "日本"  ', "日本"),
        (r'stop "\q"', r"\q"),
    ],
)
def test_stops_are_unquoted_as_go_quotes_them(line: str, stop: str) -> None:
    body = json.dumps({"parameters": f"num_ctx 5\n{line}\ntemperature 1"}).encode()
    assert decode_show(body).stops == (stop,)


@pytest.mark.parametrize("parameters", ["", "stop x", 'stop "x', 'nonstop "x"', 'stopper "x"', 'stop "a"b"'])
def test_what_is_no_stop_is_passed_over(parameters: str) -> None:
    assert decode_show(json.dumps({"parameters": parameters}).encode()).stops == ()


@pytest.mark.parametrize(
    ("info", "length"),
    [
        (None, None),
        ({}, None),
        ({"general.architecture": "llama"}, None),
        ({"llama.context_length": 5}, None),
        ({"general.architecture": "llama", "llama.context_length": None}, None),
        ({"general.architecture": "llama", "llama.context_length": 5, "clip.context_length": 6}, 5),
    ],
)
def test_the_length_is_that_of_the_models_architecture(info: dict[str, object] | None, length: int | None) -> None:
    assert decode_show(json.dumps({"model_info": info}).encode()).context_length == length


@pytest.mark.parametrize(
    ("lengths", "length"),
    [
        ({}, None),
        ({"embedding_length": 768}, 768),
        ({"embedding_length": 768, "embedding_length_out": 256}, 256),
        ({"embedding_length": 768, "embedding_length_out": None}, 768),
    ],
)
def test_vectors_are_as_long_as_what_the_model_puts_out(lengths: dict[str, object], length: int | None) -> None:
    info = {"general.architecture": "bert", **{f"bert.{name}": value for name, value in lengths.items()}}
    assert decode_show(json.dumps({"model_info": info}).encode()).embedding_length == length


def test_an_older_host_does_not_tell_capabilities() -> None:
    assert decode_show(b"{}") == decode_show(b'{"capabilities":null}') == Profile()


# --- nonsense ---------------------------------------------------------------------------------------------------------

NONSENSE = [b"", b"<html>", b"null", b"[]", b"5", b"\xff", b"[" * 10_000]
DECODERS = [decode_version, decode_tags, decode_ps, decode_show]


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("body", NONSENSE)
def test_nonsense_is_a_broken_host(decode: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(HostBroken) as failure:
        decode(body)
    assert failure.value.message == "A host's answer about itself cannot be read."
    assert failure.value.detail


@pytest.mark.parametrize(
    ("decode", "body"),
    [
        (decode_version, b"{}"),
        (decode_version, b'{"version":5}'),
        (decode_tags, b"{}"),
        (decode_tags, b'{"models":[{}]}'),
        (decode_tags, b'{"models":[{"name":"x","size":"big"}]}'),
        (decode_tags, b'{"models":[{"name":"x","details":{"context_length":"long"}}]}'),
        (decode_ps, b'{"models":{}}'),
        (decode_show, b'{"parameters":5}'),
        (decode_show, b'{"capabilities":"tools"}'),
        (decode_show, b'{"model_info":{"general.architecture":5}}'),
        (decode_show, b'{"model_info":{"general.architecture":"x","x.context_length":"long"}}'),
        (decode_show, b'{"model_info":{"general.architecture":"x","x.embedding_length":1.5}}'),
    ],
)
def test_wrong_types_are_a_broken_host(decode: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(HostBroken):
        decode(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["models", "name", "version", "parameters", "model_info", "details"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from(DECODERS), st.binary(max_size=50) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_answer_fails_in_another_way(decode: Callable[[bytes], object], body: bytes) -> None:
    with suppress(HostBroken):
        decode(body)
