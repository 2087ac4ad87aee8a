"""What is asked of several hosts at once: which ones, all of them together, and what came of it."""
