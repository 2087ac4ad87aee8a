"""Images that requests name by URL: fetched under guard, kept for a while, and put in place of their URLs."""

from gateway.images.images import Images

__all__ = ["Images"]
