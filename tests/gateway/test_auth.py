"""Who a caller is, and what it may do."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.errors import Forbidden, Unauthorized
from gateway.auth import Keyring, RequireKey
from gateway.config import KeySettings

SECRET = "sk-alice-0123456789"
KEYS = Keyring(
    [
        KeySettings(name="alice", secret=SECRET),
        KeySettings(name="bob", sha256=hashlib.sha256(b"sk-bob-0123456789").hexdigest().upper()),
    ]
)


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ([(b"authorization", b"Bearer sk-alice-0123456789")], "alice"),
        ([(b"authorization", b"bearer   sk-alice-0123456789 ")], "alice"),
        ([(b"x-api-key", b"sk-bob-0123456789")], "bob"),
        ([(b"authorization", b"Basic eA=="), (b"x-api-key", b"sk-bob-0123456789")], "bob"),
        ([(b"authorization", b"Bearer sk-alice-0123456789"), (b"x-api-key", b"sk-bob-0123456789")], "alice"),
    ],
)
def test_a_known_key_has_a_name(headers, name):
    assert KEYS.find(headers).name == name


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"")],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer ")],
        [(b"authorization", SECRET.encode())],
        [(b"authorization", b"Basic " + SECRET.encode())],
        [(b"authorization", b"Bearer " + SECRET.encode() + b"x")],
        [(b"authorization", b"Bearer " + SECRET.upper().encode())],
        [(b"authorization", b"Bearer \xff\xfe")],
        [(b"x-api-key", b"a" * 1_000_000)],
        [(b"authorization", b"Bearer " + hashlib.sha256(SECRET.encode()).hexdigest().encode())],
        [(b"authorization", b"Bearer wrong-key"), (b"x-api-key", b"sk-bob-0123456789")],
    ],
)
def test_anything_else_is_refused_without_repeating_it(headers):
    with pytest.raises(Unauthorized) as caught:
        KEYS.find(headers)
    assert SECRET not in caught.value.message


def test_without_keys_nobody_is_asked():
    assert Keyring([]).find([(b"authorization", b"Bearer anything")]).name == ""


def test_no_secret_stays_in_memory_under_a_name_that_a_dump_would_show():
    assert SECRET not in repr(vars(KEYS))


ADMIN = "sk-root-0123456789"
SCOPED = Keyring([KeySettings(name="alice", secret=SECRET), KeySettings(name="root", secret=ADMIN, scopes=("admin",))])
HERE = (b"host", b"localhost:11435")


async def knock(keyring, *headers, scope, open_to_all=False, origins=()):
    """Ask for an endpoint that needs a scope; return the caller's name, once it was let in."""
    entered = []
    unused: Any = None

    async def endpoint(scope, receive, send):
        entered.append(scope["record"].caller)

    door = RequireKey(endpoint, keyring, open_to_all=open_to_all, origins=origins, scope=scope)
    await door({"headers": [HERE, *headers], "record": SimpleNamespace(caller="")}, unused, unused)
    [name] = entered
    return name


@pytest.mark.parametrize(
    ("secret", "scope", "name"), [(SECRET, "", "alice"), (ADMIN, "", "root"), (ADMIN, "admin", "root")]
)
async def test_a_key_opens_what_its_scopes_say_and_what_needs_none(secret, scope, name):
    assert await knock(SCOPED, (b"x-api-key", secret.encode()), scope=scope) == name


async def test_a_key_without_the_scope_is_told_what_it_needs():
    with pytest.raises(Forbidden) as caught:
        await knock(SCOPED, (b"x-api-key", SECRET.encode()), scope="admin")

    assert caught.value.message == (
        "The key 'alice' lacks the scope `admin`, which this address needs. "
        "Add `scopes: [admin]` to the key in the configuration of the gateway."
    )


@pytest.mark.parametrize("headers", [(), ((b"x-api-key", b"sk-wrong-0123456789"),)], ids=["no key", "an unknown key"])
async def test_whoever_is_not_known_is_not_told_about_scopes(headers):
    with pytest.raises(Unauthorized):
        await knock(SCOPED, *headers, scope="admin")


@pytest.mark.parametrize("open_to_all", [False, True], ids=["on this machine only", "with auth: none"])
async def test_without_keys_everyone_may_manage(open_to_all):
    assert await knock(Keyring([]), scope="admin", open_to_all=open_to_all) == ""


@pytest.mark.parametrize("open_to_all", [False, True], ids=["on this machine only", "with auth: none"])
@pytest.mark.parametrize("origin", [b"https://evil.example", b"http://localhost.evil.example", b"null", b""])
async def test_without_keys_a_page_of_a_stranger_may_not_manage(origin, open_to_all):
    with pytest.raises(Forbidden) as caught:
        await knock(Keyring([]), (b"origin", origin), scope="admin", open_to_all=open_to_all)

    assert "`cors.origins`" in caught.value.message


async def test_where_everyone_may_ask_a_page_may_too():
    assert await knock(Keyring([]), (b"origin", b"https://evil.example"), scope="", open_to_all=True) == ""


@pytest.mark.parametrize("open_to_all", [False, True], ids=["on this machine only", "with auth: none"])
@pytest.mark.parametrize(
    ("origin", "origins"),
    [
        (b"https://app.example", ("https://app.example",)),
        (b"https://app.example", ("*",)),
        (b"null", ("*",)),
        (b"http://localhost:3000", ()),
        (b"app://obsidian.md", ()),
    ],
)
async def test_a_page_that_is_listed_or_of_this_machine_may_manage(origin, origins, open_to_all):
    headers = (b"origin", origin)
    assert await knock(Keyring([]), headers, scope="admin", open_to_all=open_to_all, origins=origins) == ""


async def test_where_there_are_keys_the_key_decides_and_not_the_page():
    headers = (b"x-api-key", ADMIN.encode()), (b"origin", b"https://evil.example")
    assert await knock(SCOPED, *headers, scope="admin") == "root"
