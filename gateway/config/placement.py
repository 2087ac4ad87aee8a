"""Which hosts get a model: what can be wished, and how that is written."""

from __future__ import annotations

from typing import Literal, TypeAlias

Placement: TypeAlias = Literal["all", "any"] | tuple[str, ...]
"""Which hosts get a model that is pulled or made: all of them, any one, or those with these names."""

WORDS = ("all", "any")
"""What is no host's name, because it stands for other hosts."""

HOW = "Write all, any, or names of hosts."
"""What to do about a setting that is no placement."""


def parse_placement(text: str) -> Placement:
    """Return what `all`, `any`, or names of hosts with commas between them mean: in a setting, a header or a flag.

    Nothing between the commas is no host; a text that names none means none.
    """
    labels = tuple(label for part in text.split(",") if (label := part.strip()))
    return "all" if labels == ("all",) else "any" if labels == ("any",) else labels
