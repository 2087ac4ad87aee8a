"""What the exit status of a command means."""

from __future__ import annotations

SUCCESS = 0

FAILURE = 1
"""It could not be done, or is not as it should be."""

USAGE = 2
"""There is a mistake in how the command was called, or in the configuration."""

INTERRUPTED = 128 + 2
"""Somebody pressed Ctrl-C, as shells tell it: 128 and the signal's number."""

UNREAD = 128 + 13
"""Whoever was to read the output has left, as shells tell it."""
