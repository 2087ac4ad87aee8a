from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.ollama.native.progress import Progress, encode_failed, reasons
from tests.adapters.ollama.recorded import recordings

ZEROS = "0" * 19
BIG, SMALL, OTHER = ("sha256:" + letter * 64 for letter in "abc")


def status(text: str) -> bytes:
    return b'{"status":"%b"}' % text.encode()


def part(digest: str, total: int, completed: int = 0, *, text: str = "") -> bytes:
    done = {"completed": completed} if completed else {}
    line = {"status": text or f"pulling {digest[7:19]}", "digest": digest, "total": total} | done
    return json.dumps(line, separators=(",", ":")).encode()


MANIFEST, VERIFYING, WRITING, REMOVING, SUCCESS = map(
    status,
    ("pulling manifest", "verifying sha256 digest", "writing manifest", "removing unused layers", "success"),
)


def run(progress: Progress, *said: tuple[str, bytes]) -> list[bytes]:
    return [line for host, text in said for line in progress.feed(host, text)]


# --- one host ---------------------------------------------------------------------------------------------------------

STREAMS = [
    one
    for path in ("/api/pull", "/api/push", "/api/create")
    for one in recordings(path)
    if one.status == 200 and one.body.endswith(b"\n")
]


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_what_one_host_says_comes_out_byte_for_byte_and_its_last_line_at_the_end(stream: Any) -> None:
    lines = stream.body.splitlines()
    progress = Progress(["gpu-1"])
    assert run(progress, *(("gpu-1", line) for line in lines)) == lines[:-1]
    succeeded = lines[-1] == SUCCESS
    assert progress.running == ()
    assert progress.succeeded == (("gpu-1",) if succeeded else ())
    assert progress.end(enough=succeeded) == lines[-1]
    if not succeeded:
        error = json.loads(lines[-1])["error"]
        assert (progress.error_text(), dict(progress.failed)) == (error, {"gpu-1": error})


def test_a_success_in_the_middle_is_passed_on_once_it_turns_out_not_to_be_the_last_line() -> None:
    progress = Progress(["gpu-1"])
    assert progress.feed("gpu-1", SUCCESS) == []
    assert progress.succeeded == ("gpu-1",)
    assert progress.feed("gpu-1", WRITING) == [SUCCESS, WRITING]
    assert progress.running == ("gpu-1",)
    assert progress.feed("gpu-1", b'{"error":"x","signin_url":"y"}') == []
    assert progress.end(enough=False) == b'{"error":"x","signin_url":"y"}'


@pytest.mark.parametrize("said", [[], [MANIFEST], [MANIFEST, SUCCESS, WRITING]])
def test_one_host_that_cannot_go_on_ends_with_the_reason_alone(said: list[bytes]) -> None:
    progress = Progress(["gpu-1"])
    run(progress, *(("gpu-1", line) for line in said))
    assert progress.fail("gpu-1", "it is down") == []
    assert (progress.succeeded, dict(progress.failed)) == ((), {"gpu-1": "it is down"})
    assert progress.end(enough=False) == b'{"error":"it is down"}'


# --- layers -----------------------------------------------------------------------------------------------------------


def test_a_layer_of_several_hosts_is_the_sum_over_them_and_its_total_is_the_same_from_the_first_line_on() -> None:
    progress = Progress(["a", "b", "c"])
    assert run(
        progress,
        ("a", MANIFEST),
        ("b", MANIFEST),
        ("a", part(BIG, 100)),
        ("a", part(BIG, 100, 10)),
        ("b", part(BIG, 100, 50)),
        ("a", part(BIG, 100, 20)),
        ("c", MANIFEST),
        ("c", part(BIG, 100, 1)),
    ) == [
        MANIFEST,
        part(BIG, 300),
        part(BIG, 300, 10),
        part(BIG, 300, 60),
        part(BIG, 300, 70),
        part(BIG, 300, 71),
    ]


def test_what_is_done_is_never_taken_back() -> None:
    progress = Progress(["a", "b"])
    said = run(progress, ("a", part(BIG, 100, 60)), ("a", part(BIG, 100, 20)), ("a", part(BIG, 100, -5)))
    assert said == [part(BIG, 200, 60)] * 3
    assert progress.feed("b", part(BIG, 100, 1)) == [part(BIG, 200, 61)]


def test_hosts_may_differ_about_the_size_and_what_counts_is_the_part_that_is_done() -> None:
    progress = Progress(["a", "b"])
    assert run(
        progress,
        ("a", part("sha256:model", 100, 50, text="pulling model")),
        ("b", part("sha256:model", 10, 5, text="pulling model")),
        ("b", part("sha256:model", 10, 20, text="pulling model")),
    ) == [
        part("sha256:model", 200, 50, text="pulling model"),
        part("sha256:model", 200, 100, text="pulling model"),
        part("sha256:model", 200, 150, text="pulling model"),
    ]


def test_a_later_layer_is_told_when_its_turn_comes() -> None:
    progress = Progress(["a", "b"])
    told = run(progress, ("a", part(BIG, 100, 100)), ("a", part(SMALL, 10, 10)), ("a", part(OTHER, 50, 5)))
    assert told == [part(BIG, 200, 100)]
    assert progress.feed("b", part(BIG, 100, 99)) == [part(BIG, 200, 199)]
    assert progress.feed("b", part(BIG, 100, 100)) == [part(BIG, 200, 200), part(SMALL, 20, 10)]
    assert progress.feed("b", part(OTHER, 50, 10)) == [part(SMALL, 20, 20), part(OTHER, 100, 15)]


def test_a_host_that_tells_of_another_layer_is_past_the_one_it_told_of() -> None:
    progress = Progress(["a", "b"])
    run(progress, ("a", part(BIG, 100, 97)), ("b", part(BIG, 100, 50)))
    assert progress.feed("a", part(OTHER, 50, 5)) == [part(BIG, 200, 150)]
    assert progress.feed("b", part(OTHER, 50, 5)) == [part(BIG, 200, 200), part(OTHER, 100, 10)]


def test_a_host_is_past_what_another_one_told_of_before_the_layer_it_is_at() -> None:
    progress = Progress(["a", "b"])
    run(progress, ("a", part(BIG, 100, 100)), ("a", part(SMALL, 10, 10)), ("a", part(OTHER, 50, 5)))
    assert run(progress, ("b", part(OTHER, 50, 5)))[-1] == part(OTHER, 100, 10)


def test_a_host_is_not_past_a_layer_that_no_other_told_of_before() -> None:
    progress = Progress(["a", "b"])
    run(progress, ("a", part(OTHER, 50, 5)))
    assert progress.feed("b", part(SMALL, 10, 9)) == []
    assert progress.feed("b", part(OTHER, 50, 1)) == [part(OTHER, 100, 6)]


@pytest.mark.parametrize("gate", [VERIFYING, WRITING, SUCCESS])
def test_a_host_at_a_gate_is_past_all_layers_even_those_it_did_not_tell_of(gate: bytes) -> None:
    progress = Progress(["a", "b"])
    run(progress, ("a", part(BIG, 100, 97)), ("b", part(BIG, 100, 100)), ("b", part(SMALL, 10, 4)))
    assert progress.feed("a", gate) == [part(BIG, 200, 200), part(SMALL, 20, 14)]


def test_layers_are_told_apart_by_status_too_for_work_has_a_digest_of_zeros() -> None:
    progress = Progress(["a", "b"])
    said = [(host, part(ZEROS, 10, 10, text=text)) for text in ("validating", "quantizing") for host in "ab"]
    assert run(progress, *said) == [
        part(ZEROS, 20, done, text=text) for text in ("validating", "quantizing") for done in (10, 20)
    ]


def test_a_line_about_a_layer_without_a_size_is_a_status() -> None:
    progress = Progress(["a", "b"])
    sizeless = b'{"status":"pulling","digest":"sha256:a"}'
    assert run(progress, ("a", sizeless), ("b", sizeless)) == [sizeless]


def test_a_host_that_fails_no_longer_holds_up_a_layer_and_takes_no_part_in_the_next() -> None:
    progress = Progress(["a", "b"])
    run(progress, ("a", part(BIG, 100, 100)), ("b", part(BIG, 100, 10)), ("a", part(OTHER, 50, 5)))
    assert progress.fail("b", "it is down") == [
        status("b failed: it is down"),
        part(BIG, 200, 200),
        part(OTHER, 50, 5),
    ]


# --- statuses ---------------------------------------------------------------------------------------------------------


def test_gates_are_told_when_all_hosts_that_run_have_reached_or_passed_them() -> None:
    progress = Progress(["a", "b", "c"])
    assert run(progress, ("a", VERIFYING), ("a", WRITING), ("b", WRITING)) == []
    assert progress.feed("c", VERIFYING) == [VERIFYING]
    assert progress.feed("a", SUCCESS) == []
    assert progress.feed("c", REMOVING) == [status("a: success"), WRITING]
    assert progress.feed("c", SUCCESS) == []
    assert progress.feed("b", SUCCESS) == [status("c: success"), REMOVING]
    assert progress.end(enough=True) == SUCCESS


def test_a_host_that_fails_no_longer_holds_up_a_gate() -> None:
    progress = Progress(["a", "b"])
    run(progress, ("a", VERIFYING))
    assert progress.fail("b", "it is down") == [status("b failed: it is down"), VERIFYING]


def test_another_status_is_told_once_as_its_host_wrote_it() -> None:
    progress = Progress(["a", "b"])
    new = b'{ "status" : "warming up", "new" : 1 }'
    assert run(progress, ("a", new), ("b", new), ("b", status("warming up")), ("a", b"{}"), ("b", b"{}")) == [
        new,
        b"{}",
    ]


def test_a_status_does_not_interrupt_the_layer_in_turn() -> None:
    progress = Progress(["a", "b"])
    run(progress, ("a", part(ZEROS, 10, 5, text="quantizing")))
    assert run(progress, ("a", status("verifying conversion")), ("a", SUCCESS)) == [
        part(ZEROS, 20, 10, text="quantizing")
    ]
    assert progress.feed("b", part(ZEROS, 10, 4, text="quantizing")) == [part(ZEROS, 20, 14, text="quantizing")]
    assert progress.feed("b", status("verifying conversion")) == [
        part(ZEROS, 20, 20, text="quantizing"),
        status("verifying conversion"),
        status("a: success"),
    ]


def test_a_success_that_was_not_the_hosts_last_line_is_not_told() -> None:
    progress = Progress(["a", "b"])
    assert run(progress, ("a", SUCCESS), ("a", status("using existing layer"))) == [status("using existing layer")]
    assert (progress.running, progress.succeeded) == (("a", "b"), ())
    assert run(progress, ("a", SUCCESS), ("b", MANIFEST)) == [status("a: success"), MANIFEST]


# --- failures ---------------------------------------------------------------------------------------------------------


def test_an_error_line_is_told_as_a_status_and_does_not_stop_the_others() -> None:
    progress = Progress(["a", "b"])
    assert progress.feed("a", b'{"error":"no space left"}') == [status("a failed: no space left")]
    assert run(progress, ("b", MANIFEST), ("b", SUCCESS)) == [MANIFEST]
    assert (progress.running, progress.succeeded, dict(progress.failed)) == ((), ("b",), {"a": "no space left"})
    assert progress.end(enough=True) == SUCCESS
    assert progress.end(enough=False) == b'{"error":"a: no space left. It is done on b."}'


@pytest.mark.parametrize(
    "garbage",
    [
        b"<html>",
        b"[1]",
        b'{"status":1}',
        b'{"status":"x"',
        b'{"error":{"code":400}}',
        b'{"total":"1"}',
        b"\xff",
        b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("hosts", [["a"], ["a", "b"]])
def test_a_line_that_makes_no_sense_is_a_failure_of_its_host(hosts: list[str], garbage: bytes) -> None:
    progress = Progress(hosts)
    said = progress.feed("a", garbage)
    assert said == [status("a failed: The host sent a line that makes no sense.")][: len(hosts) - 1]
    assert dict(progress.failed) == {"a": "The host sent a line that makes no sense."}


def test_a_single_hosts_failure_says_that_it_is_the_hosts() -> None:
    garbled, silent = Progress(["a"]), Progress(["a"])
    garbled.feed("a", b"<html>")
    silent.feed("a", b'{"error":""}')
    assert garbled.end(enough=False) == b'{"error":"The host sent a line that makes no sense."}'
    assert silent.error_text() == "The host gave no reason."
    assert Progress(["a"]).error_text() == "The host did not end."


def test_after_its_failure_nothing_that_a_host_says_counts() -> None:
    progress = Progress(["a", "b"])
    progress.fail("a", "it is down")
    assert run(progress, ("a", MANIFEST), ("a", SUCCESS), ("a", b"<html>")) == []
    assert progress.fail("a", "another reason") == []
    assert dict(progress.failed) == {"a": "it is down"}


@pytest.mark.parametrize("hosts", [["a"], ["a", "b"]])
def test_a_success_stands_though_the_connection_breaks_afterwards(hosts: list[str]) -> None:
    progress = Progress(hosts)
    progress.feed("a", SUCCESS)
    assert progress.fail("a", "the connection was cut") == []
    assert (progress.running, progress.succeeded, dict(progress.failed)) == (tuple(hosts[1:]), ("a",), {})
    assert progress.end(enough=True) == SUCCESS


@pytest.mark.parametrize("hosts", [["a"], ["a", "b"]])
def test_a_host_that_goes_on_after_its_success_can_fail(hosts: list[str]) -> None:
    progress = Progress(hosts)
    run(progress, ("a", SUCCESS), ("a", WRITING))
    progress.fail("a", "the connection was cut")
    assert (progress.running, progress.succeeded) == (tuple(hosts[1:]), ())
    assert dict(progress.failed) == {"a": "the connection was cut"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [(b'{"error":"no space left"}', "no space left"), (b"<html>", "The host sent a line that makes no sense.")],
)
@pytest.mark.parametrize("hosts", [["a"], ["a", "b"]])
def test_what_a_host_says_after_its_success_counts(hosts: list[str], line: bytes, reason: str) -> None:
    progress = Progress(hosts)
    run(progress, ("a", SUCCESS), ("a", line))
    assert (progress.running, progress.succeeded, dict(progress.failed)) == (tuple(hosts[1:]), (), {"a": reason})


def test_when_all_have_failed_nothing_more_is_told() -> None:
    progress = Progress(["a", "b"])
    run(progress, ("a", part(BIG, 100, 10)), ("b", part(BIG, 100, 10)), ("b", VERIFYING))
    progress.fail("a", "x")
    assert progress.fail("b", "x") == [status("b failed: x")]
    assert progress.end(enough=False) == b'{"error":"a, b: x"}'


@pytest.mark.parametrize("blank", [b"", b" ", b"\r"])
def test_a_blank_line_says_nothing(blank: bytes) -> None:
    progress = Progress(["a"])
    assert (progress.feed("a", blank), progress.running) == ([], ("a",))


@pytest.mark.parametrize(
    ("failed", "done", "text"),
    [
        ({"a": "x"}, [], "a: x"),
        ({"a": "x", "b": "y", "c": "x"}, [], "a, c: x; b: y"),
        ({"a": "The host is down.", "b": "x"}, ["c", "d"], "a: The host is down; b: x. It is done on c, d."),
    ],
)
def test_reasons_are_told_by_hosts_together(failed: dict[str, str], done: list[str], text: str) -> None:
    assert reasons(failed, done) == text


def test_a_failure_among_others_is_a_status() -> None:
    assert encode_failed("gpu-1", "no space left") == status("gpu-1 failed: no space left")


def test_the_reasons_name_every_host() -> None:
    progress = Progress(["a", "b", "c", "d"])
    run(progress, ("a", b'{"error":"x"}'), ("b", SUCCESS), ("c", b'{"error":""}'))
    assert progress.error_text() == "a: x; c: The host gave no reason; d: The host did not end. It is done on b."


@pytest.mark.parametrize(("hosts", "done"), [(["a", "b"], "a, b"), ([], "none")])
def test_all_may_have_done_it_and_still_be_too_few(hosts: list[str], done: str) -> None:
    progress = Progress(hosts)
    run(progress, *((host, SUCCESS) for host in hosts))
    assert progress.error_text() == f"too few hosts could be asked; it is done on {done}"


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_a_long_reason_is_cut() -> None:
    progress = Progress(["a", "b"])
    progress.fail("a", "x" * 1_000_000)
    assert progress.failed["a"] == "x" * 2000 + "…"


def test_a_host_that_says_ever_new_things_fills_no_memory_and_can_still_succeed() -> None:
    progress = Progress(["a", "b"])
    said = [progress.feed("a", status(f"{number}:" + "x" * 100_000)) for number in range(300)]
    assert said[0]
    assert not said[-1]
    assert run(progress, ("a", part(BIG, 1, 1)), ("a", SUCCESS), ("b", SUCCESS)) == [status("a: success")]
    assert progress.succeeded == ("a", "b")


def test_a_size_beyond_counting_is_no_size() -> None:
    progress = Progress(["a", "b"])
    huge = part(BIG, 2**60, 5)
    assert run(progress, ("a", huge), ("b", huge)) == [huge]
