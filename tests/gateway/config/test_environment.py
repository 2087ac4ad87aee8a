"""What the environment says, and what is wrong with it."""

from __future__ import annotations

import pytest

from gateway.config import HostSettings, ImageSettings, KeySettings, Settings, Timeouts, load
from gateway.config.loading import GROUPS, variables
from tests.gateway.config.problems import WRITE_URL, problems


def test_the_environment_wins_over_the_file(write):
    file = write("listen: 127.0.0.1:1\ntimeouts: {connect: 1, between: 2}\nhosts: [{url: http://a}]")
    environ = {
        "OLLAMA_GATEWAY_LISTEN": "127.0.0.1:2",
        "OLLAMA_GATEWAY_TIMEOUTS_BETWEEN": "3",
        "OLLAMA_GATEWAY_HOSTS": "[{url: http://b}, {url: http://c}]",
        "OLLAMA_GATEWAY_CONFIG": "elsewhere",
    }

    assert load(file, environ) == Settings(
        listen="127.0.0.1:2",
        timeouts=Timeouts(connect=1, between=3),
        hosts=(HostSettings(url="http://b"), HostSettings(url="http://c")),
    )


def test_a_mistake_is_blamed_on_the_file_or_the_variable_that_has_it(write):
    file = write("grace: 1\ntimeouts:\n  connect: -1\n  total: -1")

    assert problems(file, {"OLLAMA_GATEWAY_TIMEOUTS_TOTAL": "0", "OLLAMA_GATEWAY_TIMEOUTS_BETWEEN": "3"}) == [
        "FILE:3: timeouts.connect: must be a number above 0. For no limit, write null.",
        "OLLAMA_GATEWAY_TIMEOUTS_TOTAL: timeouts.total: must be a number above 0. For no limit, write null.",
    ]


def test_a_variable_of_a_group_that_cannot_be_read_is_no_further_mistake(write):
    assert problems(write("timeouts: 5"), {"OLLAMA_GATEWAY_TIMEOUTS_BETWEEN": "3"}) == [
        "FILE:1: timeouts: expected `object`, got `int`"
    ]


@pytest.mark.parametrize("listen", ["[::1]:11435", "127.0.0.1:80", "localhost:0"])
def test_a_variable_of_a_text_is_taken_as_it_is(listen):
    assert load(None, {"OLLAMA_GATEWAY_LISTEN": listen}).listen == listen


def test_a_variable_may_name_other_variables():
    environ = {
        "OLLAMA_GATEWAY_LISTEN": "127.0.0.1:${PORT}",
        "OLLAMA_GATEWAY_KEYS": "[{name: a, secret: '${KEY}'}]",
        "PORT": "80",
        "KEY": "x2345678",
    }

    assert load(None, environ) == Settings(listen="127.0.0.1:80", keys=(KeySettings(name="a", secret="x2345678"),))


def test_what_kubernetes_sets_for_a_service_of_our_name_is_passed_over():
    environ = {
        "OLLAMA_GATEWAY_SERVICE_HOST": "10.0.0.1",
        "OLLAMA_GATEWAY_SERVICE_PORT": "11435",
        "OLLAMA_GATEWAY_SERVICE_PORT_HTTP": "11435",
        "OLLAMA_GATEWAY_PORT": "tcp://10.0.0.1:11435",
        "OLLAMA_GATEWAY_PORT_11435_TCP": "tcp://10.0.0.1:11435",
        "OLLAMA_GATEWAY_PORT_11435_TCP_ADDR": "10.0.0.1",
        "OLLAMA_GATEWAY_PORT_11435_TCP_PORT": "11435",
        "OLLAMA_GATEWAY_PORT_11435_TCP_PROTO": "tcp",
        "OLLAMA_GATEWAY_METRICS_SERVICE_HOST": "10.0.0.2",
    }

    assert load(None, environ) == Settings()


def test_every_key_has_a_variable():
    keys = {*Settings.__struct_fields__}
    parts = {f"{group}_{part}" for group, kind in GROUPS.items() for part in kind.__struct_fields__}

    assert set(variables()) == {f"OLLAMA_GATEWAY_{name.upper()}" for name in keys | parts}


def test_a_variable_of_a_group_may_be_a_list():
    environ = {"OLLAMA_GATEWAY_IMAGES_FETCH": "true", "OLLAMA_GATEWAY_IMAGES_ALLOW": '[nas.lan, "[::1]:8080"]'}

    assert load(None, environ) == Settings(images=ImageSettings(fetch=True, allow=("nas.lan", "[::1]:8080")))


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"OLLAMA_GATEWAY_PORT": "8080"}, "OLLAMA_GATEWAY_PORT: no setting has this variable"),
        (
            {"OLLAMA_GATEWAY_LISTEN": "${NOWHERE}"},
            "OLLAMA_GATEWAY_LISTEN: the environment variable NOWHERE is not set",
        ),
        (
            {"OLLAMA_HOST": "gpu!"},
            f"OLLAMA_HOST: hosts[0].url: the URL of a host has a name with a character that names do not have. {WRITE_URL}",
        ),
        (
            {"OLLAMA_GATEWAY_TIMEOUTS_BETWEEN": "x"},
            "OLLAMA_GATEWAY_TIMEOUTS_BETWEEN: timeouts.between: expected `float | null`, got `str`",
        ),
        (
            {"OLLAMA_GATEWAY_LISTN": "x"},
            "OLLAMA_GATEWAY_LISTN: no setting has this variable. Did you mean OLLAMA_GATEWAY_LISTEN?",
        ),
        ({"OLLAMA_GATEWAY_WHAT_IS_THIS": "x"}, "OLLAMA_GATEWAY_WHAT_IS_THIS: no setting has this variable"),
        ({"OLLAMA_GATEWAY_GRACE": "x"}, "OLLAMA_GATEWAY_GRACE: grace: expected `float`, got `str`"),
        ({"OLLAMA_GATEWAY_HOSTS": "[{url: 1}]"}, "OLLAMA_GATEWAY_HOSTS: hosts[0].url: expected `str`, got `int`"),
    ],
)
def test_a_mistake_in_the_environment_is_named(environ, problem):
    assert problems(None, environ) == [problem]


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("gpu.lan", "http://gpu.lan:11434"),
        ("gpu.lan:8080", "http://gpu.lan:8080"),
        ("http://gpu.lan", "http://gpu.lan:80"),
        ("https://gpu.lan/ollama", "https://gpu.lan:443/ollama"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        (":9999", "http://127.0.0.1:9999"),
        ("[::]:9999", "http://[::1]:9999"),
        ("[::1]", "http://[::1]:11434"),
        ("::1", "http://[::1]:11434"),
        ("::", "http://[::1]:11434"),
        ("https://2001:db8::7/ollama", "https://[2001:db8::7]:443/ollama"),
        ("http://me:pw@gpu.lan:8080", "http://me:pw@gpu.lan:8080"),
    ],
)
def test_ollama_host_says_where_ollama_is(value, url):
    assert load(None, {"OLLAMA_HOST": value}).hosts == (HostSettings(url=url),)


def test_configured_hosts_win_over_ollama_host(write):
    assert load(write("hosts: [{url: http://a}]"), {"OLLAMA_HOST": "b"}).hosts == (HostSettings(url="http://a"),)
