# Everything here works in one environment, .venv, built from pyproject.toml on first use.
#
#   make demo [ARTIFACT=path]   two companies, two processes, one finished hire
#   make test [ARGS=...]        every test, four at a time (ARGS go to pytest instead)
#   make check                  style, types, imports, generated files, the project's own tests
#   make sweep                  the long tests that `make test` takes a part of: a kill at every sync, every order of moves,
#                               all examples of properties, and all spoiled packs
#   make oldest                 the tests, with each library as old as pyproject.toml lets it be
#   make bench                  speed, beside the floor measured in the same run
#   make attack                 load attacks at their full size, and what honest peers feel
#   make interop                each implementation here held against the specification in both roles, every pair of them hires
#                               each other, the harness against mutants; reports in build/interop (ARGS=--small: fewer)
#   make mutants                only the mutants: each is caught, and each scenario of every set catches one
#   make rivals                 the same attacks against published runtimes and this one; needs the package registry
#   make docs                   write the generated parts of protocol-spec/ again
#   make clean                  remove what these built

PYTHON ?= python3
VENV := .venv
JS_PEER := interop/js-peer
RUN := $(VENV)/bin/python
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Installed from a wheel, the package is as old as that wheel; the editable install that the tests use never is.
SOURCES := $(if $(wildcard $(VENV)/.ready-dev),,$(shell find src -type f -not -name '*.pyc' 2>/dev/null))

.PHONY: help demo test sweep oldest check bench attack interop mutants rivals docs clean
help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.ready
	@$(VENV)/bin/undersigned demo $(if $(ARTIFACT),--artifact "$$ARTIFACT")

# Four for two cores: a third of the time a test waits for a process, a socket, a disk or a moment; with three, an eighth
# of the cores' time was nobody's. Each more has to collect every test first.
AT_ONCE := --numprocesses=4 --dist=worksteal
# What has a number of examples that `make test` takes a quarter of.
IN_PART := tests/properties tests/fuzz tests/integration/test_verifier_page.py

# Tests start some hundred processes; where Python keeps no bytecode each of them would compile the package again.
test sweep: export PYTHONDONTWRITEBYTECODE :=
test: $(VENV)/.ready-dev $(if $(shell command -v npm),$(JS_PEER)/node_modules/.ready)
	@$(RUN) -m pytest $(or $(ARGS),$(AT_ONCE))

sweep: $(VENV)/.ready-dev
	@$(RUN) -m pytest -m slow $(or $(ARGS),$(AT_ONCE))
	@$(if $(ARGS),,UNDERSIGNED_SWEEP=yes $(RUN) -m pytest $(IN_PART) $(AT_ONCE))

# In an environment of its own, below build.
oldest: build/oldest.txt
	@PIP_CONSTRAINT=$(CURDIR)/$< $(MAKE) VENV=build/oldest test

build/oldest.txt: pyproject.toml
	@mkdir -p build
	@$(PYTHON) -c 'import re, tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	  wanted = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]; \
	  print(*(re.sub(r"\[.*?\]", "", one).replace(">=", "==") for one in wanted), sep="\n")' > $@

# Types take as long as all of the rest, on one core: they are looked at beside it. With TESTED_BESIDE, the project's own
# tests are left to a `make test` that runs as well.
check: $(VENV)/.ready-dev
	@told=$$(mktemp); $(VENV)/bin/pyright >"$$told" 2>&1 & types=$$!; \
	trap 'kill $$types 2>/dev/null || :; rm -f "$$told"' EXIT; \
	echo "== style";           $(VENV)/bin/ruff check .; \
	echo "== format";          $(VENV)/bin/ruff format --check .; \
	echo "== imports";         $(VENV)/bin/lint-imports; \
	echo "== generated files"; $(RUN) protocol-spec/tools/generate.py --check; \
	echo "== vectors";         $(RUN) protocol-spec/tools/make_vectors.py --check; \
	$(if $(TESTED_BESIDE),,echo "== project"; $(RUN) -m pytest tests/project;) \
	echo "== types";           wrong=0; wait $$types || wrong=1; cat "$$told"; exit $$wrong

bench: $(VENV)/.ready-dev
	@$(RUN) tests/bench/run.py $(ARGS)

attack: $(VENV)/.ready-dev
	@$(RUN) tests/bench/attack.py $(ARGS)

interop: $(VENV)/.ready-dev $(if $(shell command -v npm),$(JS_PEER)/node_modules/.ready)
	@wrong=0; $(RUN) interop/run.py $(ARGS) || wrong=1; \
	$(RUN) interop/mutants/run.py --out build/interop || wrong=1; exit $$wrong

mutants: $(VENV)/.ready-dev
	@$(RUN) interop/mutants/run.py --every --out build/interop $(ARGS)

rivals: $(VENV)/.ready-dev
	@$(RUN) interop/rivals/run.py $(ARGS)

docs: $(VENV)/.ready-dev
	@$(RUN) protocol-spec/tools/make_vectors.py
	@$(RUN) protocol-spec/tools/generate.py

# The second implementation, which tests hire and are hired by; where there is no node they are skipped.
$(JS_PEER)/node_modules/.ready: $(JS_PEER)/package-lock.json
	@echo "== installing what $(JS_PEER) needs"
	@cd $(JS_PEER) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

clean:
	rm -rf $(JS_PEER)/node_modules $(VENV) undersigned-demo build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests examples -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "undersigned needs Python 3.11 or later; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)."; \
	  echo "Name another one:  make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@echo "== making the environment $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { \
	  rm -rf $(VENV); echo "python could not make a virtual environment (on Debian: apt-get install python3-venv)"; exit 2; }

# The environment is installed from a wheel built here, and keeps it: it is what `make demo` works on by default.
$(VENV)/.ready: pyproject.toml $(SOURCES) | $(VENV)/bin/python
	@rm -rf $(VENV)/wheels && mkdir -p $(VENV)/wheels
	@echo "== building the wheel of undersigned"
	@$(VENV)/bin/pip wheel --no-deps --wheel-dir $(VENV)/wheels .
	@echo "== installing it with what it needs (a minute or so on the first run)"
	@$(VENV)/bin/pip install "$$(ls $(VENV)/wheels/undersigned-*.whl)[prov]"
	@$(VENV)/bin/pip install --quiet --no-deps --force-reinstall $(VENV)/wheels/undersigned-*.whl
	@rm -f $(VENV)/.ready-dev
	@touch $@

$(VENV)/.ready-dev: pyproject.toml | $(VENV)/.ready
	@echo "== installing the tools for tests and checks"
	@$(RUN) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"], sep="\n")' \
	  > $(VENV)/dev-requirements.txt
	@$(VENV)/bin/pip install --requirement $(VENV)/dev-requirements.txt --editable '.[prov,spdx,c2pa,fast,cedar,artifacts]'
	@touch $(VENV)/.ready $@
