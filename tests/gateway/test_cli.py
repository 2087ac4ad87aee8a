"""The command line, as real processes where it serves and in this one where it does not."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import sys
from pathlib import Path

import httpx2
import pytest

from gateway.cli import main
from gateway.simulator import FAULTS, Simulator

DOCS = Path(__file__).parents[2] / "docs"


async def start(*arguments: str, **environ: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.cli", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environ,
    )  # fmt: skip


async def end(process: asyncio.subprocess.Process, sig: int = signal.SIGTERM) -> tuple[int, str]:
    """Stop a process; return its status and what it wrote to standard error."""
    if process.returncode is None:
        process.send_signal(sig)
    try:
        async with asyncio.timeout(20):
            _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, errors.decode()


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
async def test_serving_with_nothing_but_the_demo_and_stopping(sig):
    process = await start("serve", OLLAMA_GATEWAY_LISTEN="127.0.0.1:0", OLLAMA_HOST="http://127.0.0.1:9")
    assert process.stderr is not None
    first = json.loads(await process.stderr.readline())
    async with httpx2.AsyncClient(trust_env=False) as client:
        body = {"model": "demo", "messages": [{"role": "user", "content": "hi"}]}
        answer = await client.post(f"{first['url']}/v1/chat/completions", json=body, timeout=20)
    status, errors = await end(process, sig)

    assert first["event"] == "serving"
    assert answer.status_code == 200
    assert status == 0
    assert "Traceback" not in errors
    assert [json.loads(line)["event"] for line in errors.splitlines()][-2:] == ["stopping", "stopped"]


async def test_simulating_with_a_fault_and_stopping():
    process = await start("simulate", "--port", "0", "--model", "a,b", "--fault", "busy", "--token-seconds", "0")
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    url = line.split()[-1]
    async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        body = {"model": "b", "messages": [{"role": "user", "content": "hi"}], "stream": False}
        answers = [await client.post("/api/chat", json=body) for _ in range(2)]
        tags = await client.get("/api/tags")
    status, errors = await end(process, signal.SIGINT)

    assert line.startswith("A simulated Ollama 0.33.0 with a,b at http://127.0.0.1:")
    assert [answer.status_code for answer in answers] == [503, 200]
    assert [model["name"] for model in tags.json()["models"]] == ["a:latest", "b:latest"]
    assert (status, errors) == (0, "")


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_port_that_is_taken(taken, capsys, monkeypatch):
    monkeypatch.setenv("OLLAMA_GATEWAY_LISTEN", f"127.0.0.1:{taken}")

    assert main(["serve"]) == 1
    assert capsys.readouterr().err == (
        f"Cannot listen on 127.0.0.1:{taken}: Address already in use. "
        "Something else listens there. Stop it, or choose another port with `listen`.\n"
    )


def test_a_port_of_the_simulator_that_is_taken(taken, capsys):
    assert main(["simulate", "--port", str(taken)]) == 1
    assert "choose another port with --port" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["x", "-1", "65536"])
def test_a_port_of_the_simulator_that_is_none(port, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["simulate", f"--port={port}"])

    assert caught.value.code == 2
    assert f"--port: {port!r} is not a port: write a number from 0 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--model", "--registry"])
def test_a_name_of_a_simulated_model_that_is_none(flag, capsys):
    assert main(["simulate", flag, "a b//"]) == 2
    assert capsys.readouterr().err.startswith(f"{flag}: ")


async def test_simulating_a_pull_with_its_progress():
    process = await start("simulate", "--port", "0", "--registry", "a,b", "--pull-seconds", "0.5")
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().split()[-1]
    async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        pull = await client.post("/api/pull", json={"model": "b"})
        unknown = await client.post("/api/pull", json={"model": "c", "stream": False})
        tags = await client.get("/api/tags")
    await end(process)

    lines = [json.loads(line) for line in pull.text.splitlines()]
    assert len({line.get("completed") for line in lines if line.get("total") == 1_000_000_000}) > 5
    assert lines[-1] == {"status": "success"}
    assert "file does not exist" in unknown.text
    assert {model["name"] for model in tags.json()["models"]} == {"demo:latest", "b:latest"}


def test_an_address_that_is_not_this_machines(capsys, monkeypatch):
    monkeypatch.setenv("OLLAMA_GATEWAY_LISTEN", "192.0.2.1:11435")
    monkeypatch.setenv("OLLAMA_GATEWAY_AUTH", "none")

    assert main(["serve"]) == 1
    assert "This machine does not have that address." in capsys.readouterr().err


@pytest.mark.parametrize("command", ["check", "serve"])
def test_certificates_that_cannot_be_read(command, capsys, monkeypatch):
    monkeypatch.setenv("OLLAMA_GATEWAY_LISTEN", "127.0.0.1:0")
    monkeypatch.setenv("OLLAMA_GATEWAY_HOSTS", "[{url: 'https://box', ca: /nowhere.pem}]")
    monkeypatch.setenv("OLLAMA_GATEWAY_DEMO", "false")

    assert main([command]) == 2
    assert capsys.readouterr().err == (
        "OLLAMA_GATEWAY_HOSTS: hosts[0].ca: '/nowhere.pem' cannot be read: No such file or directory\n"
    )


def test_a_demo_host_that_cannot_listen_is_not_blamed_on_anything_else(capsys, monkeypatch):
    monkeypatch.setenv("OLLAMA_GATEWAY_LISTEN", "127.0.0.1:0")
    monkeypatch.setattr("gateway.commands.serve.Simulator", lambda **given: Simulator(host="192.0.2.1", **given))

    assert main(["serve"]) == 1
    assert capsys.readouterr().err == (
        "The gateway cannot be set up: [Errno 99] Cannot assign requested address. "
        "The simulated host needs a port of its own; `demo: false` does without it.\n"
    )


def test_checking_a_good_file(capsys):
    assert main(["check", "--config", str(DOCS.parent / "config.yaml")]) == 0
    assert capsys.readouterr().out == "The configuration is good: 1 host, no keys, listening on 127.0.0.1:11435.\n"


@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_bad_file(command, tmp_path, capsys):
    file = tmp_path / "gateway.yaml"
    file.write_text("listen: 127.0.0.1:0\nhots: []\n")

    assert main([command, "--config", str(file)]) == 2
    assert capsys.readouterr().err == f"{file}:2: hots: unknown setting. Did you mean hosts?\n"


def test_the_file_may_come_from_the_environment(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OLLAMA_GATEWAY_CONFIG", str(tmp_path / "nowhere.yaml"))

    assert main(["check"]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_every_flag_and_fault_of_the_simulator_is_documented(capsys):
    with pytest.raises(SystemExit):
        main(["simulate", "--help"])
    flags = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    text = (DOCS / "simulator.md").read_text()

    assert {flag for flag in flags if f"| `{flag}` |" not in text} == set()
    assert {name for name in FAULTS if f"| `{name}` |" not in text} == set()
