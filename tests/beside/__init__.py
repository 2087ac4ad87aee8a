"""Ollama's own `/v1`, as it was recorded, beside ours: for each complaint about it, what it did and what the gateway does.

`docs/beside-ollama.md` lists the complaints, and `test_page.py` holds it to these tests.
"""
