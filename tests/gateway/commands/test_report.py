"""What `hosts` says of hosts."""

from __future__ import annotations

import json

import pytest

from adapters.errors import HostTimeout, HostUnreachable
from adapters.ollama.inventory import Version
from adapters.types import Model, Resident
from gateway.commands.report import WIDTH, as_json, as_text
from gateway.config import HostSettings, Timeouts
from gateway.fleet import Host, View
from gateway.management.drift import Drift

V33 = Version(0, 33, 0, "0.33.0")


def host(label: str, view: View) -> Host:
    found = Host(HostSettings(url=f"http://user:s3cret@{label}.lan:11434", name=label), Timeouts())
    found.view = view
    return found


def up(*models: str, loaded: tuple[str, ...] = (), version: Version = V33) -> View:
    return View(
        up=True,
        version=version,
        models={name: Model(name=name, digest=f"digest of {name}") for name in models},
        residents={name: Resident(name=name) for name in loaded},
    )


DOWN = View(error=HostUnreachable("A host cannot be reached.", detail="[Errno 111] Connect call failed"))


def test_hosts_that_are_alike():
    hosts = [
        host("gpu-1", up("llama3.2:latest", "qwen3:8b", loaded=("qwen3:8b", "llama3.2:latest"))),
        host("b", up("llama3.2:latest", "qwen3:8b", version=Version(0, 31, 0, "0.31.0-rc12"))),
    ]

    assert as_text(hosts, Drift()) == (
        "HOST   STATE  VERSION      MODELS  IN MEMORY\n"
        "gpu-1  up     0.33.0            2  llama3.2, qwen3:8b\n"
        "b      up     0.31.0-rc12       2  -\n"
        "\n"
        "DRIFT\n"
        "none\n"
    )


def test_hosts_that_are_not():
    hosts = [
        host("gpu-1", up("llama3.2:latest")),
        host("gpu-2", DOWN),
        host("gpu-3", View(up=False, version=V33, models=up("x:1").models, error=HostTimeout("No answer."))),
        host("gpu-4", View()),
    ]
    drift = Drift(
        lacking={"gpu-1": ("mistral:latest", "qwen3:8b")},
        differing={"llama3.2:latest": {"gpu-1": "0123456789abcdef", "gpu-4": "fedcba9876543210"}},
    )

    assert as_text(hosts, drift) == (
        "HOST   STATE  VERSION  MODELS  IN MEMORY\n"
        "gpu-1  up     0.33.0        1  -\n"
        "gpu-2  down   A host cannot be reached: [Errno 111] Connect call failed. Its URL\n"
        "              is http://gpu-2.lan:11434.\n"
        "gpu-3  down   No answer. Its URL is http://gpu-3.lan:11434.\n"
        "gpu-4  down   It could not be asked, for lack of sockets. Its URL is\n"
        "              http://gpu-4.lan:11434.\n"
        "\n"
        "DRIFT\n"
        "gpu-1 lacks mistral, qwen3:8b\n"
        "llama3.2 differs: 0123456789ab on gpu-1, fedcba987654 on gpu-4\n"
        "gpu-2 is down: what it has is not known\n"
        "gpu-3 is down: what it has is not known\n"
        "gpu-4 is down: what it has is not known\n"
        "\n"
        "`ollama-gateway sync MODEL` pulls a model where it is missing.\n"
        "`ollama-gateway sync --update MODEL` pulls the newest on every host.\n"
        "What was made on a host cannot be pulled: `create` it through the gateway.\n"
    )


@pytest.mark.parametrize("label", ["gpu-1", "gpu-of-a-colleague"])
def test_lines_fit_and_go_on_below_where_they_began(label):
    models = tuple(f"a-model-with-a-long-name:{number}b" for number in range(40))
    lines = as_text([host(label, up(*models, loaded=models))], Drift(lacking={label: models})).splitlines()
    indent = lines[0].index("IN MEMORY")
    memory, drift = lines[1 : lines.index("")], lines[lines.index("DRIFT") + 1 : -3]

    assert max(map(len, lines)) <= WIDTH
    assert {line[:indent].strip() for line in memory[1:]} == {""}
    assert {line[:4].strip() for line in drift[1:]} == {""}
    assert " ".join(line[indent:] for line in memory) == ", ".join(sorted(models))
    assert " ".join(map(str.strip, drift)) == f"{label} lacks {', '.join(models)}"


def test_names_that_leave_no_room_make_long_lines():
    label = "x" * 60
    lines = as_text([host(label, up(loaded=("m:1",))), host("b", DOWN)], Drift()).splitlines()

    assert lines[1].endswith("m:1")
    assert lines[1].startswith(f"{label}  up ")


def test_nothing_that_a_host_says_moves_the_cursor():
    text = as_text([host("a", up("m:1", loaded=("\x1b[2Jm:1",), version=Version(0, 1, 0, "0.1\x07")))], Drift())

    assert r"0.1\x07" in text
    assert r"\x1b[2Jm:1" in text


def test_json_has_everything_as_the_hosts_tell_it():
    hosts = [host("a", up("llama3.2:latest", "b:1", loaded=("b:1",))), host("gpu-2", DOWN)]
    drift = Drift(lacking={"a": ("c:1",)}, differing={"b:1": {"a": "x" * 64, "c": "y" * 64}})

    assert json.loads(as_json(hosts, drift)) == {
        "hosts": [
            {
                "name": "a",
                "url": "http://a.lan:11434",
                "up": True,
                "reason": None,
                "version": "0.33.0",
                "models": {"llama3.2:latest": "digest of llama3.2:latest", "b:1": "digest of b:1"},
                "in_memory": ["b:1"],
            },
            {
                "name": "gpu-2",
                "url": "http://gpu-2.lan:11434",
                "up": False,
                "reason": "A host cannot be reached: [Errno 111] Connect call failed",
                "version": None,
                "models": {},
                "in_memory": [],
            },
        ],
        "drift": {"lacking": {"a": ["c:1"]}, "differing": {"b:1": {"a": "x" * 64, "c": "y" * 64}}},
    }
