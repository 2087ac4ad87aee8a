"""The page has a row for everything that the installed clients have. That its rows are true, the run shows."""

from __future__ import annotations

import re
from inspect import signature
from pathlib import Path

import ollama
import pytest

from tests.conformance.clients import page
from tests.conformance.clients.members import members, public
from tests.conformance.clients.uses import CLIENTS, WAYS

PAGE = (Path(__file__).parents[3] / page.PAGE).read_text()
ROWS = page.read(PAGE)


@pytest.mark.parametrize("client", CLIENTS)
def test_every_parameter_has_a_row_for_every_way(client):
    rows = {(row.method, row.name, row.way) for row in ROWS if row.client == client}
    wanted = {
        (method, parameter, way)
        for method, member in members(client).items()
        for parameter in member.parameters or ("",)
        for way in member.ways
    }

    assert wanted - rows == set()


@pytest.mark.parametrize("client", CLIENTS)
def test_every_row_is_about_something_that_the_client_has(client):
    known = members(client)
    rows = [row for row in ROWS if row.client == client]

    assert [row for row in rows if row.method not in known] == []
    assert [row for row in rows if row.name not in (known[row.method].parameters or ("",))] == []


def test_both_clients_for_python_have_the_same_methods():
    sync, other = public(ollama.Client), public(ollama.AsyncClient)

    assert set(sync) == set(other)
    assert [name for name in sync if [*signature(sync[name]).parameters] != [*signature(other[name]).parameters]] == []


def test_every_row_is_shown_where_it_is_proved():
    """The `conftest.py` of these tests holds rows to the calls that were made."""
    assert {file.rpartition("/")[0] for file in re.findall(r"\]\((.+?)\)", PAGE)} == {
        "../tests/interop",
        "../tests/native",
    }


@pytest.mark.parametrize("client", CLIENTS)
def test_the_clients_are_read(client):
    """What has no members needs no rows."""
    known = members(client)

    assert len(known) > 5
    assert {way for member in known.values() for way in member.ways} <= set(WAYS)
    assert any(member.parameters for member in known.values())
