from __future__ import annotations

import pytest

from adapters.errors import InvalidRequest
from adapters.options import KNOWN, RETIRED, check_keep_alive, check_option


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("num_ctx", 4096, 4096),
        ("num_ctx", 4096.0, 4096),
        ("seed", -(2**63), -(2**63)),
        ("seed", 2**63 - 1, 2**63 - 1),
        ("num_predict", -1, -1),
        ("temperature", 0.5, 0.5),
        ("temperature", 1, 1),
        ("use_mmap", False, False),
    ],
)
def test_an_option_as_the_host_expects_it(name: str, value: object, expected: object) -> None:
    found = check_option(name, value, name)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("num_ctx", "4096", "options.num_ctx must be an integer."),
        ("num_ctx", 0.5, "options.num_ctx must be an integer."),
        ("num_ctx", True, "options.num_ctx must be an integer."),
        ("num_ctx", 1e300, "options.num_ctx does not fit into 64 bits."),
        ("num_ctx", 2**63, "options.num_ctx does not fit into 64 bits."),
        ("temperature", -(2**63) - 1, "options.temperature does not fit into 64 bits."),
        ("temperature", False, "options.temperature must be a number."),
        ("use_mmap", 1, "options.use_mmap must be a boolean."),
        ("num_predict", 0, "options.num_predict must not be 0. Leave it out, or give -1, for no limit."),
    ],
)
def test_a_wrong_option_is_refused(name: str, value: object, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_option(name, value, f"options.{name}")
    assert caught.value.message == message
    assert caught.value.param == f"options.{name}"


@pytest.mark.parametrize(
    "value",
    [
        0,
        300,
        1.5,
        -1,
        -(10**9),
        "0",
        "-0",
        "10m",
        "1h30m",
        "1.5h",
        ".5s",
        "1.s",
        "+3s",
        "-1m",
        "7ns",
        "7us",
        "7µs",
        "7μs",
    ],
)
def test_how_long_a_model_stays_loaded(value: object) -> None:
    assert check_keep_alive(value, "keep_alive") == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "10",
        "-1",
        "m",
        "1d",
        "1 m",
        "1m ",
        "1,5h",
        "٣m",
        "s" * 100,
        "1" * 64,
        "1s" * 33,
        ".s",
        "0s0",
        True,
        None,
        [],
    ],
)
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(InvalidRequest, match="must be a number of seconds or a duration") as caught:
        check_keep_alive(value, "keep_alive")
    assert caught.value.param == "keep_alive"


@pytest.mark.parametrize("value", [1e10, -1e10, 10**400, "2562048h", "-2562048h", "9" * 63 + "s"])
def test_a_duration_beyond_what_a_host_counts_is_refused(value: object) -> None:
    with pytest.raises(InvalidRequest, match="must not be longer than 292 years"):
        check_keep_alive(value, "keep_alive")


def test_an_option_is_either_known_or_retired() -> None:
    assert not KNOWN.keys() & RETIRED
