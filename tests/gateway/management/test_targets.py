from __future__ import annotations

import pytest

from adapters.errors import InvalidRequest, NoHost
from gateway.management.targets import Targets, choose, narrow, wished

UP = {"a": True, "b": True, "c": True}
C_DOWN = {"a": True, "b": True, "c": False}


@pytest.mark.parametrize(
    ("said", "wish"),
    [
        (b"all", "all"),
        (b" any ", "any"),
        (b"a", ("a",)),
        (b"a, b,a", ("a", "b", "a")),
        (b"all,a", ("all", "a")),
    ],
)
def test_what_a_caller_wishes(said, wish):
    assert wished([(b"host", b"x"), (b"x-gateway-hosts", said)]) == wish


def test_who_says_nothing_wishes_nothing():
    assert wished([(b"x-gateway-host", b"a")]) is None


@pytest.mark.parametrize("values", [[b""], [b" , "], [b"a", b"b"]])
def test_a_wish_that_makes_no_sense_is_refused(values):
    with pytest.raises(InvalidRequest, match="x-gateway-hosts must say"):
        wished([(b"x-gateway-hosts", value) for value in values])


@pytest.mark.parametrize(
    ("hosts", "placement", "best", "up", "down", "one", "named", "rounds"),
    [
        (UP, "all", (), "abc", "", False, False, ["abc"]),
        (C_DOWN, "all", (), "ab", "c", False, False, ["ab"]),
        (UP, "any", (), "abc", "", True, False, ["a", "b", "c"]),
        (UP, "any", ("c", "b"), "cba", "", True, False, ["c", "b", "a"]),
        (C_DOWN, "any", ("c", "b"), "ba", "c", True, False, ["b", "a"]),
        (UP, ("c", "a", "c"), ("c",), "ac", "", False, True, ["ac"]),
        (C_DOWN, ("c", "a"), (), "a", "c", False, True, ["a"]),
    ],
)
def test_the_hosts_that_a_placement_means(hosts, placement, best, up, down, one, named, rounds):
    chosen = choose(hosts, placement, best=best)

    assert chosen == Targets(up=tuple(up), down=tuple(down), one=one, named=named)
    assert chosen.rounds == tuple(map(tuple, rounds))


def test_a_host_that_there_is_not_is_refused_by_name():
    with pytest.raises(InvalidRequest, match="there is no host 'd'; the hosts are a, b, c"):
        choose(UP, ("a", "d"))


@pytest.mark.parametrize(
    ("hosts", "placement", "which"), [({"a": False}, "all", "a"), (C_DOWN, ("c",), "c"), ({}, "any", "there are none")]
)
def test_when_no_host_is_up_nobody_is_asked(hosts, placement, which):
    with pytest.raises(NoHost, match=rf"is up \({which}\)"):
        choose(hosts, placement)


@pytest.mark.parametrize(
    ("placement", "done", "unreachable", "enough"),
    [
        ("all", "ab", "", True),
        ("all", "a", "", False),
        ("all", "a", "b", True),
        ("all", "", "ab", False),
        ("any", "b", "", True),
        ("any", "", "a", False),
        (("a", "b"), "ab", "", True),
        (("a", "b"), "a", "b", False),
        (("a", "c"), "a", "", False),
    ],
)
def test_how_many_have_to_do_it(placement, done, unreachable, enough):
    assert choose(C_DOWN, placement).enough(done, unreachable) is enough


@pytest.mark.parametrize(
    ("placement", "able", "up"),
    [
        ("all", "bc", "bc"),
        ("all", "", "abc"),
        ("all", "d", "abc"),
        ("any", "cb", "bca"),
        ("any", "", "abc"),
        (("a", "b"), "b", "ab"),
    ],
)
def test_those_that_are_able_by_themselves_are_enough_or_come_first(placement, able, up):
    assert narrow(choose(UP, placement), able).up == tuple(up)


@pytest.mark.parametrize(
    ("placement", "why"), [("all", "all, 3 hosts"), ("any", "any, 3 hosts"), (("a",), "named, 1 host")]
)
def test_why_these_hosts(placement, why):
    assert choose(UP, placement).why == why


def test_where_one_is_enough_of_hosts_that_were_named_none_is_required():
    chosen = choose(C_DOWN, ("a", "b", "c")).of_one(("b",))

    assert chosen == Targets(up=("b",), down=("c",), one=True)
    assert chosen.enough(["b"], [])
