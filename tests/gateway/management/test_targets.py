from __future__ import annotations

import pytest

from adapters.errors import InvalidRequest, NoHost
from gateway.management.targets import Targets, choose, narrow, together, wished

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
    ("hosts", "wish", "default", "best", "up", "down", "how", "rounds"),
    [
        (UP, None, "all", (), "abc", "", "all", ["abc"]),
        (UP, "all", "any", (), "abc", "", "all", ["abc"]),
        (C_DOWN, "all", ("a",), (), "ab", "c", "all", ["ab"]),
        (UP, "any", "all", (), "abc", "", "any", ["a", "b", "c"]),
        (UP, None, "any", ("c", "b"), "cba", "", "any", ["c", "b", "a"]),
        (C_DOWN, "any", "all", ("c", "b"), "ba", "c", "any", ["b", "a"]),
        (UP, ("c", "a", "c"), "all", ("c",), "ac", "", "named", ["ac"]),
        (C_DOWN, ("c", "a"), ("b",), (), "a", "c", "named", ["a"]),
        (UP, None, ("c", "a"), (), "ac", "", "placement", ["ac"]),
        (C_DOWN, None, ("c", "a"), (), "a", "c", "placement", ["a"]),
    ],
)
def test_the_hosts_that_are_meant(hosts, wish, default, best, up, down, how, rounds):
    chosen = choose(hosts, wish, default, best=best)

    assert chosen == Targets(up=tuple(up), down=tuple(down), how=how, one=how == "any", named=how == "named")
    assert chosen.rounds == tuple(map(tuple, rounds))


@pytest.mark.parametrize(
    ("wish", "default", "error"),
    [
        (("a", "d"), "all", "there is no host 'd'; the hosts are a, b, c"),
        (None, ("d",), "there is no host 'd'; the hosts are a, b, c"),
        (("e", "a", "d", "e"), "all", "there is no host 'e' or 'd'; the hosts are a, b, c"),
        (("any", "a"), "all", "all and any stand alone"),
        (("d", "all"), "all", "all and any stand alone"),
        (("demo", "a"), "all", "'demo' is the simulated host, which takes no part in this; the hosts are a, b, c"),
    ],
)
def test_a_host_that_there_is_not_is_refused_by_name(wish, default, error):
    with pytest.raises(InvalidRequest, match=error):
        choose(UP, wish, default)


@pytest.mark.parametrize(
    ("hosts", "wish", "default", "which"),
    [
        ({"a": False}, None, "all", "a"),
        (C_DOWN, ("c",), "all", "c"),
        (C_DOWN, None, ("c",), "c"),
        ({}, "any", "all", "there are none"),
    ],
)
def test_when_no_host_is_up_nobody_is_asked(hosts, wish, default, which):
    with pytest.raises(NoHost, match=rf"is up \({which}\)"):
        choose(hosts, wish, default)


@pytest.mark.parametrize(
    ("wish", "default", "done", "unreachable", "enough"),
    [
        ("all", "all", "ab", "", True),
        ("all", "all", "a", "", False),
        ("all", "all", "a", "b", True),
        ("all", "all", "", "ab", False),
        ("any", "all", "b", "", True),
        ("any", "all", "", "a", False),
        (("a", "b"), "all", "ab", "", True),
        (("a", "b"), "all", "a", "b", False),
        (("a", "c"), "all", "a", "", False),
        (None, ("a", "b"), "ab", "", True),
        (None, ("a", "b"), "a", "", False),
        (None, ("a", "b"), "a", "b", True),
        (None, ("a", "c"), "a", "", True),
    ],
)
def test_how_many_have_to_do_it(wish, default, done, unreachable, enough):
    assert choose(C_DOWN, wish, default).enough(done, unreachable) is enough


@pytest.mark.parametrize(
    ("wish", "default", "failed"),
    [("all", "all", []), ("any", "all", []), (None, ("a", "c"), []), (("a", "c"), "all", ["c"]), (("a",), "all", [])],
)
def test_only_a_host_that_the_caller_named_fails_by_being_down(wish, default, failed):
    failures = choose(C_DOWN, wish, default).failures

    assert {label: error.message for label, error in failures.items()} == dict.fromkeys(failed, "The host is down.")


@pytest.mark.parametrize(
    ("wish", "default", "able", "up"),
    [
        ("all", "all", "bc", "bc"),
        ("all", "all", "", "abc"),
        ("all", "all", "d", "abc"),
        ("any", "all", "cb", "bca"),
        ("any", "all", "", "abc"),
        (None, ("a", "b"), "b", "b"),
        (None, ("a", "b"), "c", "ab"),
        (("a", "b"), "all", "b", "ab"),
    ],
)
def test_those_that_are_able_by_themselves_are_enough_or_come_first(wish, default, able, up):
    assert narrow(choose(UP, wish, default), able).up == tuple(up)


@pytest.mark.parametrize(
    ("wish", "able", "up"),
    [("all", "bc", "bc"), ("any", "cb", "bc"), ("any", "", "abc"), (("a", "b"), "b", "ab")],
)
def test_what_others_cannot_do_at_all_is_not_tried_on_them(wish, able, up):
    assert narrow(choose(UP, wish), able, strictly=True).up == tuple(up)


@pytest.mark.parametrize(
    ("placements", "which"),
    [
        (["all"], "all"),
        (["any"], "any"),
        (["any", "any"], "any"),
        ([("a", "b")], ("a", "b")),
        ([("a", "b"), ("b", "c")], ("a", "b", "c")),
        (["any", ("b",)], "all"),
        (["any", "all"], "all"),
        ([("a",), "all"], "all"),
    ],
)
def test_what_may_be_for_any_of_several_models_goes_where_all_of_them_may_be(placements, which):
    assert together(placements) == which


@pytest.mark.parametrize(
    ("wish", "default", "why"),
    [
        ("all", "any", "all, 3 hosts"),
        ("any", "all", "any, 3 hosts"),
        (("a",), "all", "named, 1 host"),
        (None, ("a", "b"), "placement, 2 hosts"),
    ],
)
def test_why_these_hosts(wish, default, why):
    assert choose(UP, wish, default).why == why


@pytest.mark.parametrize(
    ("wish", "having", "up", "why"),
    [
        (None, "bc", "b", "has the model, 1 host"),
        (None, "c", "ab", "all, 2 hosts"),
        (("a", "b", "c"), "ab", "ab", "has the model, 2 hosts"),
        (None, "ba", "ba", "has the model, 2 hosts"),
        (("a", "c"), "", "a", "named, 1 host"),
    ],
)
def test_where_one_is_enough_of_hosts_that_were_named_none_is_required(wish, having, up, why):
    chosen = choose(C_DOWN, wish).one_of(having)

    assert (chosen.up, chosen.down, chosen.why) == (tuple(up), ("c",), why)
    assert chosen.enough([up[0]], [])
    assert chosen.failures == {}
