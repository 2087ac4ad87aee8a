"""The page about clients of Ollama's own API: what of each works through a gateway, made from tests that ran.

A test says by the mark `uses` which methods and parameters of a client it shows.
"""
