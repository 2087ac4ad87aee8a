"""Looks at hosts: what takes one out, what does not, and what brings it back."""

from __future__ import annotations

import gzip
import os
import resource
import socket
from contextlib import contextmanager, suppress

import pytest
from msgspec.structs import replace

from adapters.errors import HostBroken, HostRefused, HostTimeout, HostUnreachable
from gateway.config import HostSettings
from gateway.simulator import Simulator, named
from gateway.simulator.faults import Cut, Drip, Hang, Raw, Reply, Reset, UntilClose, forbidden, redirect, short_body
from tests.gateway.fleet.fleets import asked, load, look, looking, view
from tests.running import eventually

VERSION, TAGS, PS = "/api/version", "/api/tags", "/api/ps"


@pytest.fixture
async def host():
    async with Simulator() as host:
        yield host


async def test_a_host_that_answers_is_up_with_what_it_has(host, log):
    await load(host)
    async with looking(host) as fleet:
        seen = view(fleet)

    assert (seen.up, str(seen.version), seen.error) == (True, "0.33.0", None)
    assert ([*seen.models], [*seen.residents]) == (["demo:latest"], ["demo:latest"])
    assert [(line["event"], line["level"]) for line in log()] == [("host is up", "info")]


@pytest.mark.parametrize("path", [VERSION, TAGS])
async def test_one_look_that_fails_takes_nothing_away_and_another_follows_by_itself(host, log, path):
    async with looking(host) as fleet:
        before = view(fleet)
        host.script(Reply(500, path=path))
        await look(fleet)
        doubted = view(fleet)
        await eventually(lambda: view(fleet) is not before)

        assert doubted.up
        assert view(fleet).up
    (line,) = log("look at host incomplete")
    assert (line["level"], line["host"], line["error"]) == ("warning", "host-0", "upstream_error")
    assert not log("host is down")


async def test_two_looks_in_a_row_that_fail_take_a_host_out(host, log):
    await load(host)
    async with looking(host) as fleet:
        host.script(Reply(500, path=TAGS, times=2))
        await look(fleet)
        await eventually(lambda: not view(fleet).up)

        assert isinstance(view(fleet).error, HostBroken)
        assert ([*view(fleet).models], [*view(fleet).residents]) == (["demo:latest"], [])
        await look(fleet)
        assert view(fleet).up
    events = [line["event"] for line in log()]
    assert events == ["host is up", "look at host incomplete", "host is down", "host is up"]


async def test_failed_looks_with_a_good_one_between_them_take_nothing_away(host, log):
    async with looking(host) as fleet:
        for _ in range(3):
            host.script(Reply(500, path=TAGS))
            await look(fleet)
            await look(fleet)

        assert view(fleet).up
    assert not log("host is down")


async def test_a_host_that_cannot_be_reached_is_down_at_once(host, log):
    host.script(UntilClose(times=3))  # no connection stays open for the second look
    async with looking(host) as fleet:
        await host.kill()
        await look(fleet)

        assert isinstance(view(fleet).error, HostUnreachable)
        await look(fleet)
    assert [line["event"] for line in log()] == ["host is up", "host is down"]
    (line,) = log("host is down")
    assert (line["level"], line["url"]) == ("warning", host.url)
    assert "'127.0.0.1', " in line["reason"]


async def test_a_host_that_was_never_there_is_told_of_once(log):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://someone:a-password@127.0.0.1:{taken.getsockname()[1]}"
        async with looking(HostSettings(url=url)) as fleet:
            await look(fleet)

            assert isinstance(view(fleet).error, HostUnreachable)
    (line,) = log()
    assert (line["event"], line["url"]) == ("host is down", url.replace("someone:a-password@", ""))


async def test_the_reason_has_the_systems_words_for_each_address(host, log, monkeypatch):
    await host.kill()
    resolve = socket.getaddrinfo

    def resolve_to_two(name, port, *args, **kwargs):
        return [found for address in ("127.0.0.1", "127.0.0.2") for found in resolve(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve_to_two)
    async with looking(HostSettings(url=host.url.replace("127.0.0.1", "localhost"))):
        (line,) = log("host is down")

    assert "127.0.0.1" in line["reason"]
    assert "127.0.0.2" in line["reason"]


@pytest.mark.usefixtures("soon")
async def test_a_host_that_is_back_is_found_without_being_asked_for(host, log):
    async with looking(host) as fleet:
        await host.kill()
        await look(fleet)
        await eventually(lambda: not view(fleet).up)
        await host.start()
        await eventually(lambda: view(fleet).up)

        assert view(fleet).error is None
    assert log()[-1]["event"] == "host is up"


STALLS = {
    "hangs": Hang(),
    "drips": Drip(0.05),
    "stops in the middle": Cut(inside="line", end="hang"),
}


@pytest.mark.parametrize("path", [VERSION, TAGS])
@pytest.mark.parametrize("stall", STALLS.values(), ids=STALLS)
@pytest.mark.usefixtures("impatient", "soon")
async def test_a_host_that_does_not_finish_its_answer_is_down_and_can_come_back(host, log, stall, path):
    async with looking(host) as fleet:
        host.script(replace(stall, path=path, times=None))
        await look(fleet)
        await eventually(lambda: not view(fleet).up)

        assert isinstance(view(fleet).error, HostTimeout)
        host.heal()
        await eventually(lambda: view(fleet).up)
    assert log("host is down")[0]["reason"] == f"{path}: no whole answer in time"


ABOUT = b'{"models": [], "version": "0.33.0"}'

LIES = {
    "not JSON": Reply(body=b"<html>hello</html>"),
    "a list": Reply(body=b"[]"),
    "a number for the list": Reply(body=b'{"models": 7, "version": 7}'),
    "a number for a name": Reply(body=b'{"models": [{"name": 7}], "version": 7}'),
    "not UTF-8": Reply(body=b'{"models": [{"name": "\xff"}], "version": "\xff"}'),
    "deep": Reply(body=b"[" * 100_000),
    "empty": Reply(),
    "not gzip": Reply(body=b"x", headers=(("content-encoding", "gzip"),)),
    "a lot of nothing": Reply(body=gzip.compress(ABOUT + b" " * 1_000_000), headers=(("content-encoding", "gzip"),)),
    "less than promised": short_body(),
    "not HTTP": Raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "a redirect": redirect("http://127.0.0.1:9/"),
    "reset": Cut(end="reset"),
    "missing": Reply(404),
    "a mistake of ours": Reply(400, b'{"error": "what?"}'),
}


@pytest.mark.parametrize("path", [VERSION, TAGS])
@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
async def test_a_host_that_makes_no_sense_is_down_and_can_come_back(host, monkeypatch, lie, path):
    monkeypatch.setattr("gateway.fleet.asking.LIMIT", 500_000)
    async with looking(host) as fleet:
        host.script(replace(lie, path=path, times=None))
        await look(fleet)
        await eventually(lambda: not view(fleet).up)

        assert isinstance(view(fleet).error, HostBroken)
        host.heal()
        await look(fleet)
        assert view(fleet).up


async def test_a_host_that_does_not_let_us_in_is_down(host):
    host.script(forbidden(times=None))
    async with looking(host) as fleet:
        assert isinstance(view(fleet).error, HostRefused)


async def test_connections_that_are_reset_at_once_are_a_failure(host):
    host.script(Reset(times=None))
    async with looking(host) as fleet:
        assert not view(fleet).up
        host.heal()
        await look(fleet)
        assert view(fleet).up


@pytest.mark.parametrize(
    "fault",
    [Reply(500, path=PS, times=None), Reply(body=b"[]", path=PS, times=None), Hang(path=PS, times=None)],
    ids=["500", "a lie", "hangs"],
)
@pytest.mark.usefixtures("impatient")
async def test_a_host_that_hides_what_is_in_its_memory_is_up_and_what_it_had_is_kept(host, log, fault):
    await load(host)
    async with looking(host) as fleet:
        host.script(fault)
        host.add(*named("new"))
        for _ in range(3):
            await look(fleet)
            assert view(fleet).up
        hidden = view(fleet)
        host.heal()
        await look(fleet)
        told = log("look at host incomplete")
        host.script(fault)
        await look(fleet)

    assert [*hidden.residents] == ["demo:latest"]
    assert {*hidden.models} == {"demo:latest", "new:latest"}
    assert [line["level"] for line in told] == ["warning"]
    assert len(log("look at host incomplete")) == 2
    assert not log("host is down")


@contextmanager
def no_descriptors():
    """Let this process open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1, hard))
    taken = []
    try:
        with suppress(OSError):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_a_host_does_not_pay_for_descriptors_that_the_gateway_lacks(host, log, name):
    host.script(UntilClose(times=3))  # no connection stays open for the next look
    async with looking(HostSettings(url=host.url.replace("127.0.0.1", name))) as fleet:
        before = view(fleet)
        with no_descriptors():
            for _ in range(3):
                await look(fleet)
        lacking = view(fleet)
        host.add(*named("new"))
        await look(fleet)

        assert lacking is before
        assert {*view(fleet).models} == {"demo:latest", "new:latest"}
    (line,) = log("look at host incomplete")
    assert (line["level"], line["error"], line["reason"]) == ("warning", "overloaded", "raise the limit: ulimit -n")
    assert not log("host is down")


async def test_a_mistake_of_ours_does_not_end_the_looks(host, log, monkeypatch):
    async with looking(host) as fleet:
        with monkeypatch.context() as broken:
            broken.setattr("adapters.ollama.inventory.decode_version", lambda body: 1 / 0)
            await look(fleet)
            await eventually(lambda: not view(fleet).up)
        await look(fleet)

        assert view(fleet).up
    assert all("ZeroDivisionError" in line["traceback"] for line in log("look at host failed"))
    assert len(log("look at host failed")) == 2


async def test_reasons_that_come_together_are_one_look(host):
    async with looking(host) as fleet:
        seen = asked(host, TAGS)
        for prober in fleet._probers.values():
            for _ in range(10):
                prober.look_now()
        await look(fleet)

    assert asked(host, TAGS) == seen + 1


async def test_headers_of_the_configuration_go_with_every_question(host):
    headers = {"X-Token": "a token", "X-Name": "Zoë"}
    async with looking(HostSettings(url=host.url, headers=headers)):
        pass

    assert sorted(request.path for request in host.requests) == ["/api/ps", "/api/show", "/api/tags", "/api/version"]
    for request in host.requests:
        assert (request.header("x-token"), request.header("x-name")) == ("a token", "Zoë")


async def test_a_list_of_models_that_has_not_changed_is_not_read_again(host, monkeypatch):
    async with looking(host) as fleet:
        with monkeypatch.context() as patched:
            patched.setattr("adapters.ollama.inventory.decode_tags", lambda body: 1 / 0)
            before = view(fleet).models
            await look(fleet)

        assert view(fleet).models is before
        assert view(fleet).up
