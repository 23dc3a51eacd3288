# Commands of the project. Every target makes the environment that it needs in .venv; nothing is installed elsewhere.

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.ready
# The first of these that is Python 3.12 or newer.
CANDIDATES := $(PYTHON) python3.13 python3.14 python3.12 python3 python $(wildcard $(HOME)/.pyenv/versions/3.1[2-9]*/bin/python)

.PHONY: help env report studies test test-slow bench lint constraints clean

help:
	@echo "make report     data, model, table and reports/castle_doctrine.html"
	@echo "make studies    every script in models/"
	@echo "make test       fast tests          make test-slow  statistical tests (minutes)"
	@echo "make bench      measured speeds, printed as one table"
	@echo "make env        only the environment, in $(VENV)"

env: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@found=""; for p in $(CANDIDATES); do \
	  if "$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; then found="$$p"; break; fi; done; \
	if [ -z "$$found" ]; then \
	  echo "Python 3.12 or newer is needed and none was found: install one (uv python install 3.13, or pyenv install 3.13) or run make PYTHON=/path/to/python3.13 $(MAKECMDGOALS)" >&2; exit 1; fi; \
	echo "Making $(VENV) with $$("$$found" --version)"; rm -rf $(VENV); "$$found" -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --upgrade pip
	$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable . --group dev
	@touch $@

report: env
	$(PY) models/castle_doctrine.py

studies: env
	@set -e; for script in models/*.py; do echo "== $$script"; $(PY) $$script; done

test: env
	$(PY) -m pytest

test-slow: env
	$(PY) -m pytest -m slow

bench: env
	$(PY) -m tests.benchmarks

lint: env
	$(PY) -m ruff check . && $(PY) -m ruff format --check .

# Newest versions that the requirements allow, written as pins. Run it to move the project forward, then run every test.
constraints:
	@tmp=$$(mktemp -d); for p in $(CANDIDATES); do \
	  if "$$p" -c 'import sys, venv; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; then "$$p" -m venv $$tmp; break; fi; done; \
	$$tmp/bin/python -m pip install --quiet --upgrade pip && $$tmp/bin/python -m pip install --quiet --editable . --group dev && \
	$$tmp/bin/python -m pip freeze --all --exclude-editable > constraints.txt; rm -rf $$tmp

clean:
	rm -rf $(VENV) reports .pytest_cache .ruff_cache
