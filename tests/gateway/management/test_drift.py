"""What has come apart between hosts, and what is to be done about a model."""

from __future__ import annotations

import pytest

from adapters.ollama.names import canonical
from adapters.types import Model
from gateway.fleet import View
from gateway.management.drift import Drift, digests_of, find_drift, hosts_lacking
from gateway.management.syncing import Plan, plan


def has(*models: str) -> View:
    """Return the view of a host that is up, with these models: `name`, or `name=digest`."""
    pairs = [(name, digest or name) for name, _, digest in (model.partition("=") for model in models)]
    return View(up=True, models={canonical(name): Model(name=name, digest=digest) for name, digest in pairs})


def was(*models: str) -> View:
    """Return the view of a host that had these models when it was last up."""
    return View(up=False, models=has(*models).models)


DRIFTS = [
    ("no hosts", {}, {}, Drift()),
    ("hosts without models", {"a": has(), "b": has()}, {}, Drift()),
    ("the same everywhere", {"a": has("m:1", "n:1"), "b": has("n:1", "m:1")}, {}, Drift()),
    ("one host lacks what another has", {"a": has("m:1"), "b": has()}, {}, Drift(lacking={"b": ("m:1",)})),
    (
        "each lacks what another has, in the order of the hosts and of the names",
        {"a": has("z:1", "b:1"), "b": has("c:1"), "c": has()},
        {},
        Drift(lacking={"a": ("c:1",), "b": ("b:1", "z:1"), "c": ("b:1", "c:1", "z:1")}),
    ),
    (
        "a name is the same in any spelling, and told in the first one",
        {"a": has("Mistral:latest=x"), "b": has("mistral:LATEST=x"), "c": has()},
        {},
        Drift(lacking={"c": ("Mistral:latest",)}),
    ),
    ("of a host that is down nothing is known", {"a": has("m:1"), "b": was("n:1")}, {}, Drift()),
    ("nor of one that was never up", {"a": has("m:1"), "b": View()}, {}, Drift()),
    ("all are down", {"a": was("m:1"), "b": View()}, {}, Drift()),
    (
        "a host that is not meant to have a model does not lack it",
        {"a": has("m:1"), "b": has(), "c": has()},
        {"m:1": ("a", "c")},
        Drift(lacking={"c": ("m:1",)}),
    ),
    (
        "a host that is meant to have it lacks what only another one has",
        {"a": has("m:1"), "b": has()},
        {"m:1": ("b",)},
        Drift(lacking={"b": ("m:1",)}),
    ),
    ("any host will do", {"a": has(), "b": has("m:1")}, {"m:1": "any"}, Drift()),
    (
        "each model has a placement of its own",
        {"a": has("m:1", "n:1"), "b": has()},
        {"m:1": "any", "n:1": "all"},
        Drift(lacking={"b": ("n:1",)}),
    ),
    (
        "different weights under one name",
        {"a": has("m:1=x"), "b": has("m:1=y"), "c": has("m:1=x")},
        {},
        Drift(differing={"m:1": {"a": "x", "b": "y", "c": "x"}}),
    ),
    (
        "weights differ also where a model is not meant to be, for requests go there",
        {"a": has("m:1=x"), "b": has("m:1=y"), "c": has()},
        {"m:1": ("a",)},
        Drift(differing={"m:1": {"a": "x", "b": "y"}}),
    ),
    (
        "weights of a host that is down do not count",
        {"a": has("m:1=x"), "b": was("m:1=y")},
        {},
        Drift(),
    ),
    (
        "a host that tells no digest differs from none",
        {"a": has("m:1=x"), "b": View(up=True, models={"m:1": Model(name="m:1")})},
        {},
        Drift(),
    ),
    (
        "both",
        {"a": has("m:1=x", "n:1"), "b": has("m:1=y")},
        {},
        Drift(lacking={"b": ("n:1",)}, differing={"m:1": {"a": "x", "b": "y"}}),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("views", "placements", "drift"), [row[1:] for row in DRIFTS], ids=[row[0] for row in DRIFTS])
def test_drift(views, placements, drift):
    found = find_drift(views, lambda key: placements.get(key, "all"))

    assert found == drift
    assert list(found.lacking) == list(drift.lacking)
    assert bool(found) == bool(drift.lacking or drift.differing)


FLEET = {"a": has("m:1"), "b": has(), "c": was(), "d": has()}
NOWHERE = {"a": has(), "b": has(), "c": was("m:1")}


@pytest.mark.parametrize(
    ("views", "placement", "lacking"),
    [
        (FLEET, "all", ("b", "d")),
        (FLEET, "any", ()),
        (FLEET, ("d", "a"), ("d",)),
        (FLEET, ("c",), ()),
        (FLEET, ("a",), ()),
        (NOWHERE, "all", ("a", "b")),
        (NOWHERE, "any", ("a", "b")),
        (NOWHERE, ("b", "c"), ("b",)),
        ({"c": was("m:1")}, "any", ()),
    ],
)
def test_where_a_model_is_missing(views, placement, lacking):
    assert hosts_lacking("m:1", views, placement) == lacking


@pytest.mark.parametrize(
    ("views", "placement", "update", "planned"),
    [
        (FLEET, "all", False, Plan(meant=("a", "b", "c", "d"), pulling=("b", "d"))),
        (FLEET, "all", True, Plan(meant=("a", "b", "c", "d"), pulling=("a", "b", "d"))),
        (FLEET, ("d", "c"), False, Plan(meant=("c", "d"), pulling=("d",))),
        (FLEET, ("a",), False, Plan(meant=("a",), pulling=())),
        (FLEET, ("a",), True, Plan(meant=("a",), pulling=("a",))),
        (FLEET, "any", False, Plan(meant=("a",), pulling=())),
        (FLEET, "any", True, Plan(meant=("a",), pulling=("a",))),
        (NOWHERE, "all", True, Plan(meant=("a", "b", "c"), pulling=("a", "b"))),
        (NOWHERE, "any", False, Plan(meant=("a", "b", "c"), pulling=("a", "b"), one=True)),
        (NOWHERE, "any", True, Plan(meant=("a", "b", "c"), pulling=("a", "b"), one=True)),
        ({"c": was("m:1")}, "any", False, Plan(meant=("c",), pulling=(), one=True)),
        ({"c": was("m:1")}, "all", True, Plan(meant=("c",), pulling=())),
    ],
)
def test_what_is_to_be_done_about_a_model(views, placement, update, planned):
    assert plan("m:1", views, placement, update=update) == planned


def test_the_digests_of_a_model_are_those_of_hosts_that_are_up_and_tell():
    views = {
        "a": has("m:1=x"),
        "b": has("n:1=y"),
        "c": was("m:1=z"),
        "d": View(up=True, models={"m:1": Model(name="m:1")}),
    }

    assert digests_of("m:1", views) == {"a": "x"}
