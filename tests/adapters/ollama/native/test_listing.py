from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from adapters.ollama.inventory import decode_ps, decode_tags, decode_version
from adapters.ollama.native.listing import (
    STATUS,
    Listed,
    Loaded,
    encode_ps,
    encode_tags,
    encode_version,
    tells_cloud_is_on,
)
from tests.adapters.ollama.recorded import recordings

TAGS = [one for one in recordings("/api/tags", "GET") if one.status == 200]
PS = recordings("/api/ps", "GET")
VERSIONS = [one for one in recordings("/api/version", "GET") if one.status == 200]


def entry(name: str, **more: Any) -> Raw:
    return Raw(json.dumps({"name": name, "model": name} | more, separators=(",", ":")).encode())


# --- tags -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tags", TAGS, ids=lambda tags: tags.name)
def test_recorded_entries_stay_as_they_are_but_for_the_key_that_is_added(tags: Any) -> None:
    models = [Listed(model.entry, {"gpu-1": model.digest}, model.modified) for model in decode_tags(tags.body)]
    listed = encode_tags(models)
    entries = json.loads(tags.body)["models"]
    assert entries
    for one in entries:
        text = json.dumps(one, separators=(",", ":"), ensure_ascii=False).encode()
        assert text[:-1] + b',"hosts":["gpu-1"]}' in listed
    assert {model.name for model in decode_tags(listed)} == {one["name"] for one in entries}


def test_fields_of_newer_servers_and_their_spelling_are_kept() -> None:
    said = Raw(rb'{"name":"x:latest","new":{"b":1.0,"a":"\u003c"},"model":"x:latest"}')
    assert encode_tags([Listed(said, {"a": "1"}, 0)]) == (
        rb'{"models":[{"name":"x:latest","new":{"b":1.0,"a":"\u003c"},"model":"x:latest","hosts":["a"]}]}'
    )


def test_digests_are_told_where_they_differ() -> None:
    alike = Listed(entry("x"), {"a": "1", "b": "1"}, 0)
    different = Listed(entry("y"), {"a": "1", "b": "2"}, 0)
    x, y = json.loads(encode_tags([alike, different]))["models"]
    assert x == {"name": "x", "model": "x", "hosts": ["a", "b"]}
    assert y == {"name": "y", "model": "y", "hosts": ["a", "b"], "digests": {"a": "1", "b": "2"}}


def test_an_alias_has_an_entry_of_its_own_that_tells_which_model_it_means() -> None:
    assert encode_tags([Listed(entry("x:latest", size=5), {"a": "1"}, 0, alias="gpt-4o")]) == (
        b'{"models":[{"name":"gpt-4o","model":"gpt-4o","size":5,"hosts":["a"],"alias_of":"x:latest"}]}'
    )


def test_the_newest_come_first_and_then_the_names_decide() -> None:
    models = [
        Listed(entry("c"), {"a": "1"}, 1),
        Listed(entry("b"), {"a": "1"}, 2),
        Listed(entry("z"), {"a": "1"}, 2, alias="a"),
        Listed(entry("d"), {"a": "1"}, 3),
    ]
    assert [one["name"] for one in json.loads(encode_tags(models))["models"]] == ["d", "a", "b", "c"]


def test_a_fleet_without_models_lists_none() -> None:
    assert encode_tags([]) == b'{"models":[]}'


# --- ps ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ps", PS, ids=lambda ps: ps.name)
def test_what_is_loaded_is_told_as_its_host_tells_it_with_the_host(ps: Any) -> None:
    loaded = [Loaded(resident.entry, "gpu-1") for resident in decode_ps(ps.body)]
    assert encode_ps(loaded).replace(b',"host":"gpu-1"', b"") == ps.body
    assert encode_ps(loaded).count(b'"host":"gpu-1"') == len(loaded)


def test_a_model_has_an_entry_for_each_host_it_is_loaded_on() -> None:
    assert encode_ps([Loaded(entry("x"), "b"), Loaded(entry("x"), "a")]) == (
        b'{"models":[{"name":"x","model":"x","host":"b"},{"name":"x","model":"x","host":"a"}]}'
    )


# --- version and status -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_version_is_written_as_ollama_writes_it(version: Any) -> None:
    assert encode_version(decode_version(version.body).text) == version.body


@pytest.mark.parametrize("said", recordings("/api/status", "GET"), ids=lambda said: said.name)
def test_recorded_statuses_are_asked_for_and_understood(said: Any) -> None:
    assert (STATUS.method, STATUS.target, STATUS.body) == ("GET", "/api/status", b"")
    assert tells_cloud_is_on(said.body) is (said.status == 200 and not json.loads(said.body)["cloud"]["disabled"])


@pytest.mark.parametrize(
    ("body", "on"),
    [
        (b'{"cloud":{"disabled":false,"source":"none"}}', True),
        (b'{"cloud":{"disabled":true}}', False),
        (b"404 page not found", False),
        (b'{"cloud":null}', False),
        (b"[" * 100_000, False),
        (b"", False),
    ],
)
def test_whether_a_host_may_use_the_cloud(body: bytes, on: bool) -> None:
    assert tells_cloud_is_on(body) is on
