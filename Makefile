# Two commands do everything on a machine with only Python 3.11 or later:
#   make demo   sets up .venv here and forecasts an invented example record
#   make test   sets up .venv here with the development tools and runs every check
# Set-up is done once; a second call starts at once. `make clean` removes it.

PYTHON ?= python3
VENV ?= .venv
# Installed before everything else, so that pip takes one build of torch and keeps it.
TORCH ?= torch==2.13.0

BIN := $(VENV)/bin
EXAMPLES := src/llm4top/examples
RUN_STAMP := $(VENV)/.llm4top-run
DEV_STAMP := $(VENV)/.llm4top-dev

.DEFAULT_GOAL := help
.PHONY: help demo test lint format types docs pictures clean

help:
	@sed -n '2,4s/^# *//p' $(MAKEFILE_LIST)

demo: $(RUN_STAMP)
	$(BIN)/llm4top forecast $(EXAMPLES)
	@echo "In the browser, on this machine only: $(BIN)/llm4top studio"

# A process a core, each with one thread: the tests of a file stay together, long files come first.
test: lint types
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV_STAMP)
	$(BIN)/mypy

format: $(DEV_STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(DEV_STAMP)
	$(BIN)/python -m llm4top.cli._docs docs/cli.md README.md

# Looked at by people: build/pictures has each page, docs/pictures the README's three.
pictures: $(DEV_STAMP)
	$(BIN)/python -m tests.studio.pictures build/pictures --readme

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "LLM4TOP needs Python 3.11 or later, and '$(PYTHON)' is" \
	    "$$($(PYTHON) --version 2>/dev/null || echo absent)." \
	    "Name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -f $(BIN)/python; exit 1; }

$(RUN_STAMP): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install "$(TORCH)"
	$(BIN)/python -m pip install --editable .
	@touch $@

# pip reads dependency groups from version 25.1 on; reading them here works with any pip.
$(DEV_STAMP): $(RUN_STAMP) pyproject.toml
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"], sep="\n")' > $(VENV)/dev.txt
	$(BIN)/python -m pip install --requirement $(VENV)/dev.txt
	@touch $@
