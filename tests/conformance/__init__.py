"""The conformance table: what becomes of every parameter of every endpoint, made from tests that ran.

A test under `tests/e2e` says by the mark `shows` what it shows of a parameter. `make conformance` runs these tests and
writes `docs/conformance.md`; `make test` fails when the file does not say what the run showed.
"""
