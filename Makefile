# Everything is set up on first use; nothing but Python (3.11 or newer) and make is needed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run test check bench lock clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/run.stamp ## serve on 127.0.0.1:11435 with config.yaml
	@exec $(BIN)/ollama-gateway serve --config config.yaml

test: check ## run everything that CI runs
	$(BIN)/coverage erase
	$(BIN)/coverage run --data-file=.coverage.adapters --source=adapters -m pytest -q tests/adapters
	$(BIN)/coverage report --data-file=.coverage.adapters --fail-under=100
	$(BIN)/python -m pytest -q --ignore=tests/adapters

check: $(VENV)/dev.stamp ## lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/dev.stamp ## measure CPU, latency and memory, and print the table
	$(BIN)/python -m benchmarks

lock: $(VENV)/dev.stamp ## lock the newest dependencies that pyproject.toml allows
	$(BIN)/uv pip compile -q -U --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--extra build -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile -q -U --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--extra build --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml

clean: ## remove what the other targets made
	rm -rf $(VENV) .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# A stamp is newer than its lock file as long as the environment holds what the lock file says.
$(VENV)/run.stamp: requirements.lock pyproject.toml
	@if [ ! -e $@ ] && [ -e $(VENV)/dev.stamp ] && [ ! requirements-dev.lock -nt $(VENV)/dev.stamp ]; then touch $@; \
	else $(MAKE) --no-print-directory environment LOCK=requirements.lock STAMP=$@; fi

$(VENV)/dev.stamp: requirements-dev.lock pyproject.toml
	@$(MAKE) --no-print-directory environment LOCK=requirements-dev.lock STAMP=$@

.PHONY: environment
environment:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is " + sys.version)'
	@echo "Setting up $(VENV) from $(LOCK)"
	@rm -f $(VENV)/*.stamp
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $(LOCK)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)
