"""How far hosts have come apart: a pure comparison of what each of them has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from gateway.config import Placement
    from gateway.fleet import View


class Drift(Struct, frozen=True, kw_only=True):
    """What is not on all hosts as it should be. Of hosts that are down nothing is known, so nothing is said.

    Attributes:
        lacking: The models that a host lacks and another one has, by the label of the host that lacks them.
        differing: Where hosts have different weights or settings under one name: the digest on each host, by label.
    """

    lacking: dict[str, tuple[str, ...]] = {}
    differing: dict[str, dict[str, str]] = {}

    def __bool__(self) -> bool:
        return bool(self.lacking or self.differing)


def find_drift(views: Mapping[str, View], placement: Callable[[str], Placement]) -> Drift:
    """Return what has come apart. A model is called what the first host that has it calls it.

    A host that is not meant to have a model does not lack it. When it has the model all the same, it is compared with
    the others, for it is asked like them.

    Args:
        views: What is known of each host, by label.
        placement: Which hosts are meant to have a model, by its canonical name.
    """
    names: dict[str, str] = {}
    for view in views.values():
        for key, model in view.models.items() if view.up else ():
            names.setdefault(key, model.name)
    lacking: dict[str, list[str]] = {label: [] for label in views}
    differing: dict[str, dict[str, str]] = {}
    for key, name in sorted(names.items()):
        for label in hosts_lacking(key, views, placement(key)):
            lacking[label].append(name)
        digests = digests_of(key, views)
        if len(set(digests.values())) > 1:
            differing[name] = digests
    return Drift(lacking={label: tuple(found) for label, found in lacking.items() if found}, differing=differing)


def hosts_lacking(key: str, views: Mapping[str, View], placement: Placement) -> tuple[str, ...]:
    """Return the hosts, by label, that are up and meant to have a model, and lack it.

    Where any host will do, these are all of them as long as none has it, and none as soon as one has.

    Args:
        key: The canonical name of the model.
        views: What is known of each host, by label.
        placement: Which hosts are meant to have it.
    """
    up = {label: view.models for label, view in views.items() if view.up}
    if placement == "any" and any(key in models for models in up.values()):
        return ()
    meant = placement if isinstance(placement, tuple) else up
    return tuple(label for label, models in up.items() if label in meant and key not in models)


def digests_of(key: str, views: Mapping[str, View]) -> dict[str, str]:
    """Return which weights and settings stand behind a name, by the label of each host that is up and tells.

    Args:
        key: The canonical name of the model.
        views: What is known of each host, by label.
    """
    models = {label: view.models.get(key) for label, view in views.items() if view.up}
    return {label: model.digest for label, model in models.items() if model is not None and model.digest}
