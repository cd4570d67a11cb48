# Two commands do everything on a machine with only Python 3.11 or later:
#   make demo   creates .venv and forecasts an invented example record
#   make test   creates .venv with the development tools and runs every check
# The set-up runs once. `make clean` removes it.

PYTHON ?= python3
VENV ?= .venv
# Not in the lock files: its builds (CUDA, CPU, ROCm) have one version and different hashes, and pip
# takes the build that this machine's index serves. Everything else is installed by hash.
TORCH ?= torch==2.13.0

BIN := $(VENV)/bin
EXAMPLES := src/llm4top/examples
RUN_STAMP := $(VENV)/.llm4top-run
DEV_STAMP := $(VENV)/.llm4top-dev

.DEFAULT_GOAL := help
.PHONY: help demo test check lint format types docs sbom bench lock pictures clean

help:
	@sed -n '2,4s/^# *//p' $(MAKEFILE_LIST)

demo: $(RUN_STAMP)
	$(BIN)/llm4top forecast $(EXAMPLES)
	@echo "In the browser, on this machine only: $(BIN)/llm4top studio"

# One process per core, each with one thread. The tests of a file stay together; long files first.
# What was compiled is kept: the tests start hundreds of processes.
PYTEST := env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

test: lint types
	$(PYTEST)

# Two minutes instead of nine: no training, no server, no browser, no real data.
check: lint types
	$(PYTEST) -m unit

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV_STAMP)
	$(BIN)/mypy

format: $(DEV_STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Generated pages, then the site in build/site, which loads nothing from other hosts.
docs: $(DEV_STAMP)
	$(BIN)/python -m llm4top.cli.docs docs/cli.md README.md
	$(BIN)/python -m llm4top.prompts.docs docs/allowed-inputs.md
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --clean --site-dir build/site

# What is installed in .venv, with versions and licences, as CycloneDX: build/sbom.json.
sbom: $(DEV_STAMP)
	@mkdir -p build
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-file build/sbom.json $(BIN)/python

# Scoring and training beside the peers, which get an environment of their own: see benchmarks/README.md.
PEERS ?= build/peers
bench: $(DEV_STAMP)
	$(BIN)/python -m benchmarks --peers $(PEERS)

# Pictures of every page for people to review, in build/pictures; those of the README in docs.
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

# The lock files are complete, so nothing is resolved, and torch finds what it needs installed.
# `pip check` fails where the lock files no longer fit pyproject.toml: run `make lock`.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

$(RUN_STAMP): pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing into $(VENV). This takes a few minutes."
	$(INSTALL) --no-deps --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check "$(TORCH)"
	$(INSTALL) --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	@touch $@

$(DEV_STAMP): $(RUN_STAMP) requirements-dev.lock
	$(INSTALL) --no-deps --require-hashes --requirement requirements-dev.lock
	$(BIN)/python -m pip check
	@touch $@

# One tested version of everything for Python 3.11 to 3.13 on Linux and macOS, with the hashes of all
# its files. Versions stay unless pyproject.toml needs others; `make lock UPGRADE=--upgrade` renews.
lock: $(BIN)/uv
	$(LOCK) --group build --output-file requirements.lock
	$(LOCK) --group build --group dev --group docs --constraint requirements.lock \
	  --output-file requirements-dev.lock
	for file in requirements.lock requirements-dev.lock; do \
	  awk '/^[a-z]/ {skip = /^(torch|triton|nvidia-|cuda-)/} !skip' $$file > $$file.new && \
	  mv $$file.new $$file || exit 1; done

# Not by the stamps: they fail where pyproject.toml needs what is not locked yet.
$(BIN)/uv: | $(BIN)/python
	$(INSTALL) --no-deps --require-hashes --requirement requirements-dev.lock

LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-annotate --no-header $(UPGRADE) pyproject.toml
