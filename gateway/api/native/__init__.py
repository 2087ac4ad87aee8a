"""The endpoints of Ollama's own API: one big Ollama, made of all hosts."""
