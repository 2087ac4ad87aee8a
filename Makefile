# Everything is set up on first use; nothing but Python (3.11 or newer) and make is needed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JS := tests/interop/js
TIKTOKEN := $(VENV)/share/tiktoken/9b5ad71b2ce5302211f9c61530b329a4922fc6a4

.PHONY: help run test check conformance bench lock clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/run.stamp ## serve on 127.0.0.1:11435 with config.yaml
	@exec $(BIN)/ollama-gateway serve --config config.yaml

test: check $(JS)/node_modules/.package-lock.json $(TIKTOKEN) ## run everything that CI runs
	$(BIN)/coverage erase
	$(BIN)/coverage run --data-file=.coverage.adapters --source=adapters -m pytest -q tests/adapters
	$(BIN)/coverage report --data-file=.coverage.adapters --fail-under=100
	$(BIN)/python -m pytest -q -p tests.conformance.plugin --ignore=tests/adapters

check: $(VENV)/dev.stamp ## lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

conformance: $(JS)/node_modules/.package-lock.json $(TIKTOKEN) ## write the pages anew that tests make: conformance and ollama-clients
	$(BIN)/python -m pytest -q -p tests.conformance.plugin --write-conformance -m "shows or uses" \
		tests/e2e tests/native tests/interop

bench: $(VENV)/dev.stamp ## measure CPU, latency and memory, and print the table
	$(BIN)/python -m benchmarks

lock: $(VENV)/dev.stamp ## lock the newest dependencies that pyproject.toml allows
	$(BIN)/uv pip compile -q -U --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--extra build -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile -q -U --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--extra build --extra tiktoken --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml

clean: ## remove what the other targets made
	rm -rf $(VENV) $(JS)/node_modules .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# A stamp is newer than its lock file as long as the environment holds what the lock file says.
$(VENV)/run.stamp: requirements.lock pyproject.toml
	@if [ ! -e $@ ] && [ -e $(VENV)/dev.stamp ] && [ ! requirements-dev.lock -nt $(VENV)/dev.stamp ]; then touch $@; \
	else $(MAKE) --no-print-directory environment LOCK=requirements.lock STAMP=$@; fi

$(VENV)/dev.stamp: requirements-dev.lock pyproject.toml
	@$(MAKE) --no-print-directory environment LOCK=requirements-dev.lock STAMP=$@

# What npm itself writes when it has installed everything.
$(JS)/node_modules/.package-lock.json: $(JS)/package-lock.json | $(VENV)/dev.stamp
	@echo "Setting up $(@D) from $<"
	@$(BIN)/npm ci --prefix $(JS) > /dev/null

# The table of cl100k_base, which tiktoken would fetch from elsewhere, is in a package of the registry; nothing else of
# that package is used.
$(TIKTOKEN): tests/interop/tiktoken.lock | $(VENV)/dev.stamp
	@echo "Setting up $(@D) from $<"
	@rm -rf $(@D) && mkdir -p $(@D)
	@$(BIN)/python -m pip download -q --disable-pip-version-check --no-deps --require-hashes -r $< -d $(@D)/package
	@$(BIN)/python -m zipfile -e $(@D)/package/*.whl $(@D)/package
	@mv $(@D)/package/llama_index/core/_static/tiktoken_cache/$(@F) $@
	@rm -rf $(@D)/package

.PHONY: environment
environment:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is " + sys.version)'
	@echo "Setting up $(VENV) from $(LOCK)"
	@rm -f $(VENV)/*.stamp
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $(LOCK)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)
