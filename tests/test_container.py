"""What can be said of the container files where no Docker engine runs."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from gateway.cli import main
from gateway.config import load

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def environment() -> dict[str, str]:
    """Return the gateway's variables, with what the shell fills in."""
    given = COMPOSE["services"]["gateway"]["environment"]
    return {name: re.sub(r"\$\{GATEWAY_KEY:\?[^}]*\}", "0123456789abcdef", value) for name, value in given.items()}


def test_the_gateways_variables_are_a_good_configuration():
    settings = load(None, environment())

    assert settings.listen == "0.0.0.0:11435"
    assert settings.hosts[0].url == "http://ollama:11434"
    assert settings.hosts[0].parallel == int(COMPOSE["services"]["ollama"]["environment"]["OLLAMA_NUM_PARALLEL"])
    assert settings.keys[0].secret == "0123456789abcdef"


def test_there_is_no_default_key():
    assert "${GATEWAY_KEY:?" in COMPOSE["services"]["gateway"]["environment"]["OLLAMA_GATEWAY_KEYS"]


def test_every_service_is_watched_and_keeps_its_state():
    services = COMPOSE["services"]

    assert "healthcheck" in services["ollama"]
    assert "HEALTHCHECK" in DOCKERFILE
    assert services["gateway"]["depends_on"]["ollama"]["condition"] == "service_healthy"
    assert {volume for service in services.values() for volume in (v.split(":")[0] for v in service["volumes"])} == set(
        COMPOSE["volumes"]
    )


def test_what_the_image_copies_is_there_and_not_ignored():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        name
        for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
        for name in sources.split()
    }

    assert copied == allowed
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_image_runs_a_command_that_exists(capsys):
    assert 'ENTRYPOINT ["ollama-gateway"]\nCMD ["serve"]' in DOCKERFILE
    assert main(["check"]) == 0
    assert "The configuration is good" in capsys.readouterr().out
