"""What callers demand of a chat and no host does by itself: a call that must come, a form that must hold."""

from adapters.emulation.emulation import Check, Emulation, is_needed

__all__ = ["Check", "Emulation", "is_needed"]
