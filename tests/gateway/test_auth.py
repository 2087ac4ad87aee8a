from __future__ import annotations

import hashlib

import pytest

from adapters.errors import Unauthorized
from gateway.auth import Keyring
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
