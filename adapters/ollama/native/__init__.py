"""The dialect of Ollama's own API, as callers speak it."""
