"""`ollama-gateway sync` in front of simulated hosts."""

from __future__ import annotations

import asyncio
import os
import re
import signal

import pytest
from msgspec.structs import replace

from gateway.simulator import Broken, Registry, Simulator, demo, named
from tests.e2e.programs import COMMAND, ROOT, SECONDS, start
from tests.gateway.commands.fleets import call, has, pulls, settings

BIG = replace(demo, name="big", size=8_000_000_000)
GONE = "http://127.0.0.1:9"
"""Where nothing listens."""


def registry(*models: str) -> Registry:
    return Registry(BIG, *named(*models))


def masked(lines: list[str]) -> list[str]:
    """Return lines without the digests in them."""
    return [re.sub(r"\b[0-9a-f]{12}\b", "DIGEST", line) for line in lines]


async def test_a_model_is_pulled_where_it_is_missing():
    async with Simulator(models=[BIG]) as one, Simulator(models=[], registry=registry()) as other:
        status, out, err = await call("sync", "big", **settings(one, other))

        assert has(other) == ["big:latest"]
        assert (pulls(one), pulls(other)) == ([], ["big"])
    assert (status, err) == (0, [])
    assert masked(out) == [
        "big: pulling on gpu-2",
        "big: pulling manifest",
        "big: pulling DIGEST, 8.0 GB",
        "big: verifying sha256 digest",
        "big: writing manifest",
        "",
        "big is on gpu-1, gpu-2",
    ]


async def test_on_several_hosts_at_once_and_several_models_one_after_the_other():
    shared = registry("a", "b")
    async with Simulator(models=[], registry=shared) as one, Simulator(models=named("b"), registry=shared) as other:
        status, out, _ = await call("sync", "a", "b:latest", "big", **settings(one, other))

        assert has(one) == has(other) == ["a:latest", "b:latest", "big:latest"]
        assert (pulls(one), pulls(other)) == (["a", "b:latest", "big"], ["a", "big"])
    assert status == 0
    assert "big: pulling on gpu-1, gpu-2" in out
    assert out[-3:] == ["a is on gpu-1, gpu-2", "b:latest is on gpu-1, gpu-2", "big is on gpu-1, gpu-2"]


async def test_a_model_that_is_missing_nowhere_is_left_alone():
    async with Simulator(models=[BIG]) as one, Simulator(models=[BIG]) as other:
        found = await call("sync", "BIG:latest", "big", **settings(one, other))

        assert pulls(one) == pulls(other) == []
    assert found == (0, ["big is on gpu-1, gpu-2: nothing to pull"], [])


@pytest.mark.parametrize(
    ("flags", "placement", "models", "pulled"),
    [
        ([], "gpu-3", {}, [0, 0, 1]),
        ([], "gpu-3", {"big": {"placement": "all"}}, [0, 1, 1]),
        ([], "all", {"Big:latest": {"placement": ["gpu-1", "gpu-2"]}}, [0, 1, 0]),
        ([], "any", {}, [0, 0, 0]),
        (["--hosts", "all"], "gpu-3", {"big": {"placement": "any"}}, [0, 1, 1]),
        (["--hosts", "gpu-2"], "all", {}, [0, 1, 0]),
        (["--hosts", "gpu-2, gpu-1"], "all", {}, [0, 1, 0]),
        (["--hosts", "any"], "all", {}, [0, 0, 0]),
    ],
)
async def test_which_hosts_are_meant(flags, placement, models, pulled):
    shared = registry()
    async with (
        Simulator(models=[BIG], registry=shared) as one,
        Simulator(models=[], registry=shared) as two,
        Simulator(models=[], registry=shared) as three,
    ):
        environ = settings(one, two, three, placement=placement, models=models)
        status, _, _ = await call("sync", "big", *flags, **environ)

        assert [len(pulls(host)) for host in (one, two, three)] == pulled
    assert status == 0


async def test_where_any_host_will_do_another_one_takes_the_place_of_one_that_fails():
    # The emptier one comes first.
    async with Simulator(models=[], registry=[]) as one, Simulator(models=named("a"), registry=registry()) as other:
        status, out, _ = await call("sync", "big", "--hosts", "any", **settings(one, other))

        assert (pulls(one), has(other)) == (["big"], ["a:latest", "big:latest"])
    assert status == 0
    assert out[0] == "big: pulling on one of gpu-1, gpu-2"
    assert out[-2:] == ["big is on gpu-2", "  failed: gpu-1: pull model manifest: file does not exist"]


async def test_a_host_that_fails_does_not_stop_the_others():
    broken = registry()
    broken.fail("big", Broken(status=503, body="try later"))
    async with (
        Simulator(models=[], registry=registry()) as one,
        Simulator(models=[], registry=broken) as two,
        Simulator(models=[], registry=broken) as three,
    ):
        status, out, err = await call("sync", "big", **settings(one, two, three))

        assert has(one) == ["big:latest"]
    assert (status, err) == (1, [])
    assert "big: gpu-2 failed: pull model manifest: 503: try later" in out
    assert out[-2:] == ["big is on gpu-1", "  failed: gpu-2, gpu-3: pull model manifest: 503: try later"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "nope",
            [
                "  failed: gpu-1, gpu-2: pull model manifest: file does not exist",
                "  No registry has it: look for a typing error in its name.",
            ],
        ),
        ("a b", ["  failed: gpu-1, gpu-2: invalid model name"]),
    ],
)
async def test_what_no_host_can_pull(name, said):
    async with Simulator() as one, Simulator() as other:
        status, out, err = await call("sync", name, **settings(one, other))

    assert (status, err) == (1, [])
    assert out[out.index("") :] == ["", f"{name} is on no host", *said]


async def test_what_was_made_on_a_host_is_to_be_made_on_the_others():
    async with Simulator(models=named("mine")) as one, Simulator() as other:
        status, out, _ = await call("sync", "mine", **settings(one, other))

    assert status == 1
    assert out[-4:] == [
        "mine is on gpu-1",
        "  failed: gpu-2: pull model manifest: file does not exist",
        "  No registry has what was made on a host. If this was made on gpu-1, `create`",
        "      it through the gateway.",
    ]


async def test_of_hosts_that_are_down_it_is_not_known_what_they_have():
    async with Simulator() as one:
        _, out, _ = await call("sync", "nope", **settings(one, GONE))

    assert "nope is on no host that is up" in out


async def test_an_alias_is_a_mistake_for_a_model_of_its_name_would_never_be_asked():
    async with Simulator(models=[BIG]) as host:
        status, out, err = await call("sync", "gpt-4o", **settings(host, models={"big": {"aliases": ["gpt-4o"]}}))

        assert pulls(host) == []
    assert (status, out) == (2, [])
    assert err[0].startswith("'gpt-4o' is an alias of 'big' here")


async def test_a_host_that_is_off_does_not_stop_the_others_and_is_told_of():
    async with Simulator(models=[], registry=registry()) as one:
        status, out, _ = await call("sync", "big", **settings(one, GONE))

        assert has(one) == ["big:latest"]
    assert status == 1
    assert out[-3] == "big is on gpu-1"
    assert " ".join(map(str.strip, out[-2:])) == (
        "gpu-2 is down: A host cannot be reached: [Errno 111] Connect call failed ('127.0.0.1', 9). "
        "Its URL is http://127.0.0.1:9."
    )


@pytest.mark.parametrize(("wish", "status"), [("gpu-1", 0), ("gpu-2", 1), ("all", 1), ("any", 0)])
async def test_a_host_that_is_off_matters_where_it_is_meant(wish, status):
    async with Simulator(models=[BIG]) as one:
        found, out, _ = await call("sync", "big", "--hosts", wish, **settings(one, GONE))

        assert pulls(one) == []
    assert found == status
    assert out[0].startswith("big is on gpu-1")
    assert any("gpu-2 is down" in line for line in out) == bool(status)


@pytest.mark.parametrize("wish", ["all", "any"])
async def test_when_all_hosts_are_off_nothing_can_be_done(wish):
    status, out, err = await call("sync", "big", "--hosts", wish, **settings(GONE))

    assert (status, err) == (1, [])
    assert out[0] == "big: all hosts are down, and what they have is not known"
    assert out[1].startswith("  gpu-1 is down: A host cannot be reached: ")


async def test_weights_that_differ_are_told_of_and_made_the_same_by_update():
    newer = replace(BIG, blob="newer weights")
    async with Simulator(models=[BIG], registry=[newer]) as one, Simulator(models=[newer], registry=[newer]) as other:
        told = await call("sync", "big", **settings(one, other))
        status, out, _ = await call("sync", "--update", "big", **settings(one, other))

        assert (pulls(one), pulls(other)) == (["big"], ["big"])
        assert [model.digest for host in (one, other) for model in host.models.values()] == [newer.digest] * 2
    assert told[0] == 0
    assert told[1] == [
        "big is on gpu-1, gpu-2: nothing to pull",
        f"  differs: {BIG.digest[:12]} on gpu-1, {newer.digest[:12]} on gpu-2; --update pulls the",
        "      newest",
    ]
    assert status == 0
    assert out[-1] == "big is on gpu-1, gpu-2"


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        (["a", "--hosts", "gpu-9"], "--hosts: there is no host 'gpu-9'; the hosts are gpu-1"),
        (
            ["a", "--hosts", "demo"],
            "--hosts: 'demo' is the simulated host, which takes no part in this; the hosts are gpu-1",
        ),
        (
            ["a", "--hosts", "all,any"],
            "--hosts: all and any stand alone: name hosts without them, or write one of them and no host",
        ),
        (["a", "--hosts", ","], "--hosts: write all, any, or names of hosts with commas between them"),
        ([], "ollama-gateway sync: error: the following arguments are required: MODEL"),
        (["a", " "], "ollama-gateway sync: error: argument MODEL: it must not be empty"),
    ],
)
async def test_a_mistake_in_the_call(arguments, mistake):
    async with Simulator() as host:
        status, out, err = await call("sync", *arguments, **settings(host))

        assert host.requests == []
    assert (status, out, err[-1]) == (2, [], mistake)


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
async def test_whoever_stops_it_stops_the_hosts(sig):
    async with (
        Simulator(models=[], registry=registry(), pull_seconds=60) as one,
        Simulator(models=[], registry=registry(), pull_seconds=60) as other,
        start(*COMMAND, "sync", "big", **settings(one, other)) as process,
    ):
        await one.wait_until(lambda: bool(one.downloading and other.downloading), timeout=SECONDS)
        process.send_signal(sig)
        out, err = await process.communicate()
        await one.wait_until(lambda: not one.downloading and not other.downloading, timeout=SECONDS)

        assert has(one) == has(other) == []
    assert out.startswith(b"big: pulling on gpu-1, gpu-2\n")
    if sig == signal.SIGINT:
        assert process.returncode == 130
        assert err == b"Interrupted. The hosts were told to stop; they go on from there next time.\n"
    else:
        assert process.returncode == -signal.SIGTERM
        assert err == b""


async def test_a_reader_who_leaves_stops_the_hosts():
    # That nobody reads shows at the next line, which here comes when the first model is there at the latest.
    async with (
        Simulator(models=[], registry=registry("next"), pull_seconds=2) as host,
        start("sh", "-c", '"$@" | head -n 1', "sh", *COMMAND, "sync", "big", "next", **settings(host)) as shell,
    ):
        out, err = await shell.communicate()
        await host.wait_idle(timeout=SECONDS)

        assert "next:latest" not in has(host)
    assert (out, err) == (b"big: pulling on gpu-1\n", b"")


async def test_on_a_terminal_the_part_that_is_done_is_told_in_place():
    ours, theirs = os.openpty()
    try:
        async with Simulator(models=[], registry=registry(), pull_seconds=0.5) as host:
            environ = {**os.environ, **settings(host), "COLUMNS": "60"}
            process = await asyncio.create_subprocess_exec(
                *COMMAND, "sync", "big", cwd=ROOT, env=environ, stdin=asyncio.subprocess.DEVNULL, stdout=theirs
            )
            async with asyncio.timeout(SECONDS):
                status = await process.wait()
        told = os.read(ours, 65536).decode().replace("\r\n", "\n")
    finally:
        os.close(ours)
        os.close(theirs)

    assert status == 0
    pulling = next(line for line in told.split("\n") if "%" in line)
    assert re.findall(r"\rbig: pulling [0-9a-f]{12}, +(\d+) % of 8\.0 GB\x1b\[K", pulling)[-1] == "100"
    assert told.endswith("\nbig is on gpu-1\n")
