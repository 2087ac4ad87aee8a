"""What is said when an address cannot be listened on."""

from __future__ import annotations

import errno
import sys

from gateway.commands.status import FAILURE


def cannot_listen(where: str, error: OSError, setting: str) -> int:
    """Say why an address cannot be listened on, and what to do; return the exit status."""
    hint = {
        errno.EADDRINUSE: f"Something else listens there. Stop it, or choose another port with {setting}.",
        errno.EACCES: f"Ports below 1024 need special rights. Choose another one with {setting}.",
        errno.EADDRNOTAVAIL: "This machine does not have that address.",
    }.get(error.errno or 0, "")
    print(f"Cannot listen on {where}: {error.strerror or error}. {hint}".rstrip(), file=sys.stderr)
    return FAILURE
