"""docs/cli.md: every command, flag and exit status is there, and the examples are what the commands write."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import httpx2
import pytest
from msgspec.structs import replace

from gateway.cli import COMMANDS, main
from gateway.commands import status
from gateway.simulator import Simulator, demo, named
from tests.e2e.programs import COMMAND, ROOT, run

PAGE = (ROOT / "docs" / "cli.md").read_text()
HOSTS = ("gpu-1", "gpu-2", "gpu-3")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def example(title: str) -> tuple[str, str]:
    """Return the command of a section's example, and what it writes."""
    [block] = re.findall(r"^```console\n\$ ollama-gateway (.*?)\n(.*?)^```$", section(title), re.MULTILINE | re.DOTALL)
    command, out = block
    return command, out


def alike(text: str) -> str:
    """Return a text without what is different for every model and machine: digests, small layers, where a host is."""
    text = re.sub(r"http://(127\.0\.0\.1|[a-z0-9-]+\.lan):\d+", "URL", text)
    text = re.sub(r"\('[\d.]+', \d+\)", "ADDRESS", text)
    return re.sub(r"\b[0-9a-f]{12}\b", "DIGEST", re.sub(r"\d+ B\b", "SIZE", text))


@pytest.mark.parametrize("name", [name for name, _, _ in COMMANDS if name != "simulate"])
def test_every_flag_has_a_row(name, capsys):
    with pytest.raises(SystemExit):
        main([name, "--help"])
    flags = {*re.findall(r"--[a-z-]+|\bMODEL\b", capsys.readouterr().out)} - {"--help"}

    assert set(re.findall(r"^\| `([^`]+)` \|", section(name), re.MULTILINE)) >= flags


def test_every_command_is_told_of():
    assert re.findall(r"^\| \[`(\w+)`\]", PAGE, re.MULTILINE) == [name for name, _, _ in COMMANDS]


def test_every_exit_status_has_a_row():
    statuses = {str(value) for name, value in vars(status).items() if name.isupper()}

    assert set(re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)) == statuses


async def test_the_examples(tmp_path: Path) -> None:
    [settings] = re.findall(r"^```yaml\n(.*?)^```$", section("hosts"), re.MULTILINE | re.DOTALL)
    qwen = replace(demo, name="qwen3:8b", size=5_200_000_000)
    nomic = replace(demo, name="nomic-embed-text")
    off = Simulator()
    async with (
        Simulator(models=[*named("llama3.2"), qwen, nomic], version="0.24.0") as one,
        Simulator(models=[*named("llama3.2"), replace(nomic, blob="newer")], registry=[qwen]) as two,
    ):
        for label, host in zip(HOSTS, (one, two, off), strict=True):
            assert settings.count(f"http://{label}.lan:11434") == 1
            settings = settings.replace(f"http://{label}.lan:11434", host.url)
        file = tmp_path / "lan.yaml"
        file.write_text(settings)
        async with httpx2.AsyncClient(base_url=one.url, trust_env=False) as client:
            await client.post("/api/generate", json={"model": "llama3.2"})
        for title in ("hosts", "sync"):
            command, told = example(title)
            code, out, err = await run(*COMMAND, *shlex.split(command.replace("lan.yaml", str(file))))

            assert (code, err) == (1, "")
            assert alike(out) == alike(told)


async def test_every_key_of_the_json_is_told_of() -> None:
    async with Simulator() as host:
        _, out, _ = await run(*COMMAND, "hosts", "--json", OLLAMA_GATEWAY_HOSTS=f"[{{url: '{host.url}'}}]")
    said = json.loads(out)

    assert list(said) == ["hosts", "drift"]
    assert {key for key in said["hosts"][0] if f"`{key}`" not in section("hosts")} == set()
    assert {key for key in said["drift"] if f"`drift.{key}`" not in section("hosts")} == set()
