"""The backend that we call: Ollama's native API, versions 0.24 and 0.33 alike."""
