"""What the tests of the configuration share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        file: Path = tmp_path / "config.yaml"
        file.write_text(text)
        return file

    return write
