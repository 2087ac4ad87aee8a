"""Which hosts get a model: how it may be written, and what is said of hosts that there are not."""

from __future__ import annotations

import pytest

from gateway.config import Settings, load, parse_placement
from tests.gateway.config.problems import problems

HOSTS = "hosts: [{url: 'http://gpu-1.lan:11434', name: gpu-1}, {url: 'http://box:80'}]\n"
KNOWN = "The hosts are gpu-1, box:80."

WRITTEN = [
    ("all", "all"),
    ("any", "any"),
    ("gpu-1", ("gpu-1",)),
    ("gpu-1, box:80", ("gpu-1", "box:80")),
    ("box:80,gpu-1", ("box:80", "gpu-1")),
    ("[box:80, gpu-1]", ("box:80", "gpu-1")),
    ("[gpu-1]", ("gpu-1",)),
]


@pytest.mark.parametrize(("text", "placement"), WRITTEN)
def test_a_placement_is_a_word_or_names_of_hosts(write, text, placement):
    assert load(write(f"{HOSTS}placement: {text}"), {}).placement == placement


@pytest.mark.parametrize(("text", "placement"), WRITTEN)
def test_a_model_may_have_one_of_its_own(write, text, placement):
    models = load(write(f"{HOSTS}models:\n  a:\n    placement: {text}\n  b: {{aliases: [c]}}"), {}).models

    assert (models["a"].placement, models["b"].placement) == (placement, None)


@pytest.mark.parametrize(("text", "placement"), WRITTEN)
def test_it_can_come_from_the_environment(write, text, placement):
    assert load(write(HOSTS), {"OLLAMA_GATEWAY_PLACEMENT": text}).placement == placement


def test_by_default_all_hosts_get_a_model():
    assert Settings().placement == "all"


@pytest.mark.parametrize(
    ("text", "placement"),
    [
        ("", ()),
        (" , ", ()),
        (" all ", "all"),
        ("any,", "any"),
        ("all, any", ("all", "any")),
        ("All", ("All",)),
        ("b, a,b", ("b", "a", "b")),
    ],
)
def test_a_text_is_taken_apart_at_its_commas(text, placement):
    assert parse_placement(text) == placement


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("gpu-2", f"placement[0]: there is no host 'gpu-2'. {KNOWN}"),
        ("gpu-1, gpu-2", f"placement[1]: there is no host 'gpu-2'. {KNOWN}"),
        ("[gpu-1, 'gpu-1, box:80']", f"placement[1]: there is no host 'gpu-1, box:80'. {KNOWN}"),
        ("All", f"placement[0]: there is no host 'All'. {KNOWN}"),
        ("demo", f"placement[0]: 'demo' is the simulated host, which gets no models. {KNOWN}"),
        ("[]", "placement: names no host. Write all, any, or names of hosts."),
        ("','", "placement: names no host. Write all, any, or names of hosts."),
        ("[gpu-1, box:80, gpu-1]", "placement[2]: 'gpu-1' is given twice. Name each host once."),
        ("[all]", "placement[0]: 'all' is no host. It must stand alone: `placement: all`."),
        ("gpu-1, any", "placement[1]: 'any' is no host. It must stand alone: `placement: any`."),
        ("", "placement: expected `str | array`, got `null`. Write all, any, or names of hosts."),
        ("7", "placement: expected `str | array`, got `int`. Write all, any, or names of hosts."),
        ("[7]", "placement[0]: expected `str`, got `int`"),
    ],
)
def test_what_names_no_hosts_is_a_mistake_wherever_it_stands(write, text, problem):
    environ = {"OLLAMA_GATEWAY_PLACEMENT": text}

    assert problems(write(f"{HOSTS}placement: {text}")) == [f"FILE:2: {problem}"]
    assert problems(write(HOSTS), environ) == [f"OLLAMA_GATEWAY_PLACEMENT: {problem}"]
    if not text:
        return  # What a model's own may be besides is nothing, which is the general one.
    own = problem.replace("`str | array`", "`str | array | null`")
    assert problems(write(f"{HOSTS}models:\n  a:\n    placement: {text}")) == [f"FILE:4: models.a.{own}"]


def test_where_there_are_no_hosts_none_can_be_named(write):
    assert problems(write("hosts: []\nplacement: gpu-1")) == [
        "FILE:2: placement[0]: there is no host 'gpu-1'. There are none."
    ]


def test_a_host_that_is_itself_a_mistake_is_not_missed_as_well(write):
    assert problems(write("hosts: [{url: gpu-1, name: gpu-1}]\nplacement: [gpu-2]")) == [
        "FILE:1: hosts[0].url: the URL of a host must begin with http:// or https://. "
        "Write it as http://gpu-2.lan:11434."
    ]


@pytest.mark.parametrize("name", ["all", "any"])
def test_a_host_is_not_named_as_those_who_stand_for_others(write, name):
    assert problems(write(f"hosts:\n  - {{url: http://a, name: {name}}}")) == [
        f"FILE:2: hosts[0].name: {name!r} stands for other hosts where hosts are named. Choose another name."
    ]


def test_a_host_has_no_comma_in_its_name(write):
    assert problems(write("hosts:\n  - {url: http://a, name: 'a,b'}")) == [
        "FILE:2: hosts[0].name: must not have a comma, which stands between names of hosts"
    ]
