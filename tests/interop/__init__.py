"""Clients that are neither OpenAI's SDK nor Ollama's client for Python: those for JavaScript, and LangChain on both APIs."""
