"""The pages that are made from tests that ran: what becomes of every parameter of every endpoint, and of every client.

A test under `tests/e2e` says by the mark `shows` what it shows of a parameter. `make conformance` runs these tests and
writes `docs/conformance.md`; `make test` fails when the file does not say what the run showed. It is the same with the
tests under `tests/native` and `tests/interop`, the mark `uses` and `docs/ollama-clients.md`: see `clients/`.
"""
