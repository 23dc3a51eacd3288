# Commands of the project. Every target makes the environment that it needs in .venv (make peers: in .venv-*); nothing is installed elsewhere.

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.ready
# The first of these that is Python 3.12 or newer.
CANDIDATES := $(PYTHON) python3.13 python3.14 python3.12 python3 python $(wildcard $(HOME)/.pyenv/versions/3.1[2-9]*/bin/python)

.PHONY: help env report studies test test-slow bench peers docs lint constraints clean

help:
	@echo "make report     data, model, table and reports/castle_doctrine.html"
	@echo "make studies    every script in models/, and reports/index.html that links their reports"
	@echo "make test       fast tests          make test-slow  statistical tests (minutes)"
	@echo "make bench      measured speeds, printed as one table"
	@echo "make peers      other programs on the same data, in environments of their own (.venv-peers, .venv-causalpy)"
	@echo "make docs       this documentation as a site in docs/_build/html, warnings are errors"
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
	@set -e; for script in models/*.py; do echo "== $$script"; $(PY) $$script; done; $(PY) -m bayes.reporting.index reports

test: env
	$(PY) -m pytest -n auto --dist loadfile

test-slow: env
	$(PY) -m pytest -m slow

bench: env
	$(PY) -m tests.benchmarks

peers: env
	$(PY) -m tests.peers

docs: env
	@rm -rf docs/_build docs/api/generated
	$(PY) -m sphinx -W --keep-going -n -q -d docs/_build/doctrees -b html docs docs/_build/html
	@! grep -rnoE '<(script|img|iframe)[^>]* src="(https?:)?//[^"]*|<link[^>]* href="(https?:)?//[^"]*' docs/_build/html --include='*.html' \
	  || { echo "Pages load something from elsewhere." >&2; exit 1; }
	@echo "Site: docs/_build/html/index.html"

lint: env
	$(PY) -m ruff check . && $(PY) -m ruff format --check .

# Newest versions that the requirements allow, written as pins. Run it to move the project forward, then run every test.
constraints:
	@tmp=$$(mktemp -d); for p in $(CANDIDATES); do \
	  if "$$p" -c 'import sys, venv; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; then "$$p" -m venv $$tmp; break; fi; done; \
	$$tmp/bin/python -m pip install --quiet --upgrade pip && $$tmp/bin/python -m pip install --quiet --editable . --group dev && \
	$$tmp/bin/python -m pip freeze --all --exclude-editable > constraints.txt; rm -rf $$tmp

clean:
	rm -rf $(VENV) .venv-peers .venv-causalpy reports docs/_build docs/api/generated .pytest_cache .ruff_cache
