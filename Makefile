# Every target sets up what it needs: `make demo` and `make test` work in a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
CRASHES ?= 1

.PHONY: help setup demo test explore lint format pictures clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@

setup: $(STAMP) ## make .venv with everything

demo: $(STAMP) ## one whole payment on an embedded PayMaster and simulated devices
	$(BIN)/sco-pay demo --out out/demo

test: $(STAMP) ## the tests
	$(BIN)/python -m pytest

explore: $(STAMP) ## every world of a payment, wider than the tests do: CRASHES=n
	PYTHONPATH=tests/payment $(BIN)/python -m explore --crashes $(CRASHES)

lint: $(STAMP) ## format check, lint, strict types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP) ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

pictures: $(STAMP) ## render again the pictures that the README and docs show
	$(BIN)/python docs/pictures.py

clean: ## remove the environment and all that was generated
	rm -rf $(VENV) out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
