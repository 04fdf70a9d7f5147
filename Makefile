# Every target makes the environment first, in .venv/ beside this file. Paths are relative, so the checkout may lie
# in a folder with a space in its name.

SHELL := /bin/sh
PY := .venv/bin/python

# What belongs to another Python must not reach into the environment.
unexport PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX
# The suite starts some hundred processes; each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test serve lint check format test-deep bench bench-deep openapi lock

help:
	@echo 'make demo        the whole story, from a bare checkout'
	@echo 'make test        the whole suite'
	@echo 'make serve       broker, worker and stand-ins, kept running (BROKER_PORT, 0 = any free one)'
	@echo 'make lint        format, lint, types, import contracts, policy suites, openapi drift'
	@echo 'make check       lint, then test'
	@echo 'make test-deep   the long runs          make bench, make bench-deep   the benchmarks'
	@echo 'make openapi     export the API         make format                   lay the code out'
	@echo 'make setup       the environment only   make lock                     pin anew (needs uv)'

setup:
	@sh .ci/setup

demo: setup
	@$(PY) -m tests.story

test: setup
	@$(PY) -m pytest -q -n 2 --dist loadgroup -m 'not deep'

test-deep: setup
	@$(PY) -m pytest -q -m deep

serve: setup
	@$(PY) -m broker up --end-with-parent

lint: setup
	@$(PY) -m ruff format --check --quiet .
	@$(PY) -m ruff check --quiet .
	@$(PY) -m mypy
	@$(PY) .venv/bin/lint-imports --no-logo
	@$(PY) -m broker policy check policies
	@$(PY) -m broker openapi --check
	@$(PY) -m adapters.openapi --check

# One after the other, also under make -j.
check: setup
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test

format: setup
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

bench: setup
	@$(PY) -m tests.bench

bench-deep: setup
	@$(PY) -m tests.bench --deep

openapi: setup
	@$(PY) -m broker openapi
	@$(PY) -m adapters.openapi

# The lock holds hashes only; no index is named in it.
lock:
	@command -v uv >/dev/null || { echo 'make lock needs uv on the PATH (https://docs.astral.sh/uv/)' >&2; exit 1; }
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
		pyproject.toml --group dev -o requirements.lock
