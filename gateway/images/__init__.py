"""Images that requests name by URL: fetched under guard, kept for a while, and put in place of their URLs."""

from gateway.images.images import Images, has_remote

__all__ = ["Images", "has_remote"]
