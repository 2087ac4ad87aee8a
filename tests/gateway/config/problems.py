"""What is said of a configuration that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import ConfigError, load

WRITE_URL = "Write it as http://gpu-2.lan:11434."


def problems(file: Path | None, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(file, environ or {})
    return [str(problem).replace(str(file), "FILE") for problem in caught.value.problems]
