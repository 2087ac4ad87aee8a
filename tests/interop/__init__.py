"""Clients that are not the OpenAI SDK for Python: its sibling for JavaScript, and LangChain."""
