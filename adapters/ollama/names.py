"""Names of models, compared as Ollama compares them (wire.md 1.3)."""

from __future__ import annotations

from functools import lru_cache

_DEFAULT_HOST = "registry.ollama.ai"
_DEFAULT_NAMESPACE = "library"
_DEFAULT_TAG = "latest"


_LONGEST = 256
"""Characters of a name that is remembered: a caller may send one of any length."""


def canonical(name: str) -> str:
    """Return the one spelling of a model's name: two names mean the same model when this is equal for both.

    A name is `[[host/]namespace/]model[:tag]`. Case does not matter; the tag `latest`, the namespace `library` and
    Ollama's own registry are what a name means when it does not say; a scheme before the registry says nothing. The
    suffix `:local` only asks for a model that is not in the cloud, and `:cloud` after a tag is another way to end the
    tag with `-cloud`. Any text is taken: one that is no name stays one that no host has.
    """
    return _remembered(name) if len(name) <= _LONGEST else _canonical(name)


def _canonical(name: str) -> str:
    name = name.strip().lower()
    end = len(name)
    while name.endswith(":local", 0, end):
        end -= len(":local")
    *origin, last = name[:end].rpartition("://")[2].rsplit("/", 2)
    if origin[:-1] == [_DEFAULT_HOST]:
        origin = origin[1:]
    if origin == [_DEFAULT_NAMESPACE]:
        origin = []
    model, _, tag = last.partition(":")
    if tag.endswith(":cloud"):
        tag = tag.removesuffix(":cloud") + "-cloud"
    return "/".join((*origin, f"{model}:{tag or _DEFAULT_TAG}"))


_remembered = lru_cache(maxsize=1024)(_canonical)
