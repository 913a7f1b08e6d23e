# Everything a developer or an operator's engineer does with this checkout. `make help` lists it.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo hold test check bench lock peers screenshots clean

help: ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## install onecard and its tools into .venv (every other target does this first)

$(STAMP): pyproject.toml requirements/dev.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "onecard needs Python 3.11 or newer: make setup PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## tell the main story over real protocols on loopback and verify every step
	@$(BIN)/onecard demo

hold: setup ## the story's operator in business, with a sample life, left open for the browser
	@$(BIN)/onecard demo --hold

check: setup ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup check ## the checks, then every test
	$(BIN)/pytest -n auto --dist loadfile

bench: setup ## measure against a reference run side by side, and say how
	$(BIN)/python -m bench

peers: ## install the third-party peers and the browser that some tests need (Debian packages and npm)
	.ci/peers

screenshots: setup ## take the pictures of pages in docs/images anew (needs `make peers`)
	ONECARD_SCREENSHOTS=docs/images $(BIN)/pytest tests/web/browser

lock: ## renew the hashed lock files (needs uv)
	uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --quiet --upgrade --extra dev pyproject.toml -o requirements/dev.txt
	uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --quiet pyproject.toml -c requirements/dev.txt -o requirements/run.txt

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
