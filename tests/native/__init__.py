"""Ollama's own client for Python through a gateway, in front of hosts of different versions and with different models."""
