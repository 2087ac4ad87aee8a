"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

pytest_plugins = ("pytester",)

# How long an example takes depends on what else the machine does; timings are never asserted.
settings.register_profile("gateway", deadline=None)
settings.load_profile("gateway")
