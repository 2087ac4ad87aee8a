"""What is said of an address at which nothing is served: why that is so, or what to use instead."""

from __future__ import annotations

_SERVED = ("chat/completions", "completions", "embeddings", "models")

_REASONS = {
    "It is not served yet; use /v1/chat/completions.": "responses messages",
    "It is not served; use /v1/chat/completions.": "edits engines",
    "No answers are kept here: `store` has no effect.": "chat/completions",
    "No images or films are made here; a model with the capability `vision` reads images in the messages.": (
        "images videos"
    ),
    "No speech is made here.": "audio/speech audio/voices audio/voice_consents",
    "Send sound to /v1/chat/completions, as an `input_audio` part, to a model with the capability `audio`.": "audio",
    "No live sessions are held here; /v1/chat/completions answers as a stream.": "realtime live",
    "Nothing is moderated here; ask a guard model through /v1/chat/completions.": "moderations",
    "No files are kept here; put what they say into the messages.": "files uploads",
    "No batches are run here; send their requests one by one.": "batches",
    "No conversations are kept here; send all messages with each request to /v1/chat/completions.": (
        "assistants threads conversations agents chatkit"
    ),
    "No vectors are kept here; /v1/embeddings makes them.": "vector_stores",
    "No model ranks here; compare the vectors of /v1/embeddings.": "rerank",
    "No models are trained here; `ollama create` makes one from a Modelfile.": "fine_tuning fine-tunes",
    "It is a part of OpenAI's platform that has no use here.": (
        "containers content_provenance_checks decisions evals organization projects safety skills vaults "
        "webhook_endpoints webhook_event_types"
    ),
    "Ollama's own API begins at /api: leave /v1 out of the address that this client is given.": "api",
}
"""Why the other addresses of OpenAI, Anthropic and Ollama are not served, by what follows /v1/; the first counts."""

_WHY = {name: why for why, names in _REASONS.items() for name in names.split()}


def unserved(path: str) -> str:
    """Return a sentence that helps a caller who asked at an address where nothing is."""
    name = path.removeprefix("/v1/")
    if name.startswith("v1/"):
        return "It has /v1 twice: this client adds /v1 itself, so leave it out of the base URL."
    if name.rstrip("/") in _SERVED and name != path:
        return "Leave out the slash at its end."
    if name == path:
        name = path.removeprefix("/")
        if not _begins(name, "api") and any(_begins(name, known) for known in (*_SERVED, *_WHY)):
            return "The base URL must end in /v1."
    why = next((why for known, why in _WHY.items() if _begins(name, known)), "")
    return why or f"Check its spelling. Served are {', '.join(f'/v1/{served}' for served in _SERVED)}."


def _begins(name: str, known: str) -> bool:
    return name == known or name.startswith(f"{known}/")
