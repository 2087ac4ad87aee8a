from __future__ import annotations

from itertools import permutations

import pytest

from adapters.accounting import add, choices
from adapters.types import Usage

ONE = Usage(prompt=11, completion=7, cached=3, thinking=2)
OTHER = Usage(prompt=13, completion=5, cached=4, thinking=1)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (Usage(), Usage(), Usage()),
        (Usage(), ONE, ONE),
        (ONE, Usage(), ONE),
        (ONE, OTHER, Usage(prompt=24, completion=12, cached=7, thinking=3)),
        (Usage(cached=0), Usage(), Usage(cached=0)),
        (Usage(cached=0), Usage(cached=5), Usage(cached=5)),
        (Usage(estimated=True), ONE, Usage(prompt=11, completion=7, cached=3, thinking=2, estimated=True)),
        (ONE, Usage(estimated=True), Usage(prompt=11, completion=7, cached=3, thinking=2, estimated=True)),
    ],
)
def test_calls_that_follow_each_other_count_one_by_one(one: Usage, other: Usage, both: Usage) -> None:
    assert add(one, other) == both


@pytest.mark.parametrize(
    ("usages", "together"),
    [
        ([ONE], ONE),
        ([ONE, ONE, ONE], Usage(prompt=11, completion=21, cached=3, thinking=6)),
        ([ONE, OTHER], Usage(prompt=13, completion=12, cached=4, thinking=3)),
        ([ONE, Usage(prompt=11, cached=9)], Usage(prompt=11, completion=7, cached=3, thinking=2)),
        ([ONE, Usage(prompt=11, estimated=True)], Usage(prompt=11, completion=7, thinking=2, estimated=True)),
    ],
)
def test_choices_have_their_prompt_in_common(usages: list[Usage], together: Usage) -> None:
    for order in permutations(usages):
        assert choices(order) == together
