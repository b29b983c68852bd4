PYTHON ?= python3
BIN := .venv/bin
POSTGRES ?= postgres://postgres@127.0.0.1/sentinel
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help up test test-postgres test-hive thorough check fix lock bench chaos fuzz clean install install-dev install-hive

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: install $(BIN)/sentinel ## run everything on this machine, with a demo app; Ctrl-C stops it
	@exec $(BIN)/python manage.py up

test: install-dev ## run every test; those that need a server run where one answers
	$(BIN)/pytest -n auto --dist loadgroup

test-postgres: install-dev ## run the flow and api tests entirely on PostgreSQL
	SENTINEL_DATABASE_URL=$(POSTGRES) $(BIN)/pytest tests/flow tests/api -n auto --dist loadgroup

test-hive: install-dev ## test hive and spark jobs on the real thing: downloads Spark, needs Java
	@if command -v java >/dev/null; then $(MAKE) --no-print-directory install-hive && \
	  HIVE_TEST_SPARK_HOME=$$(echo "$$PWD"/.venv-hive/lib/python*/site-packages/pyspark) \
	  $(BIN)/pytest --timeout=300 tests/hive; \
	else echo "skipped: there is no Java on the PATH"; fi

thorough: install-dev ## search for long: the engine's machine, races by the thousand, schedules
	HYPOTHESIS_PROFILE=thorough $(BIN)/pytest --timeout=3600 -n auto tests/property \
	  tests/flow/test_engine_machine.py tests/flow/test_races.py tests/flow/test_races_held.py

check: install-dev ## what CI runs: format, lint, types, import contracts, migrations, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(MAKE) test

fix: install-dev ## format, and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## resolve the dependencies anew and write both lock files (needs uv)
	uv lock --upgrade
	uv export --quiet --no-header --no-emit-project --no-dev -o requirements.lock
	uv export --quiet --no-header --no-emit-project --all-extras -o requirements-dev.lock
	@! grep -n '://' requirements.lock requirements-dev.lock

bench: install-dev ## measure: throughput and latency
	@for script in bench/*.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

fuzz: install-dev ## attack the API with tens of thousands of requests made from its schema
	FUZZ_CASES=400 $(BIN)/pytest tests/api/test_fuzz.py -n auto

chaos: install-dev ## faults by seed against whole installations for 10 minutes: 0 violations
	@PYTHONPATH=bench $(BIN)/python -m chaos

clean: ## remove caches; data in run/ stays
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +

# The command line, run from this checkout: the project itself is not a package that is installed.
$(BIN)/sentinel: $(BIN)/python sentinel_project/client/launcher.py
	@$(BIN)/python -m sentinel_project.client.launcher $@

# What was installed is kept beside it, so that an unchanged lock costs nothing.
install: .venv/bin/python
	@cmp -s requirements.lock .venv/requirements.lock || { \
	  echo "installing from requirements.lock"; \
	  $(PIP) install --require-hashes -r requirements.lock \
	  && cp requirements.lock .venv/requirements.lock; }

install-dev: .venv/bin/python
	@cmp -s requirements-dev.lock .venv/requirements-dev.lock || { \
	  echo "installing from requirements-dev.lock"; \
	  $(PIP) install --require-hashes -r requirements-dev.lock \
	  && cp requirements-dev.lock requirements.lock .venv/; }

# Of Spark only the server is used, so it has a venv of its own.
install-hive:
	@test -x .venv-hive/bin/python || $(PYTHON) -m venv .venv-hive
	@cmp -s tests/hive/requirements.lock .venv-hive/requirements.lock || { \
	  echo "installing from tests/hive/requirements.lock" \
	  && .venv-hive/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes \
	    -r tests/hive/requirements.lock \
	  && cp tests/hive/requirements.lock .venv-hive/; }

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' \
	  || { echo "Sentinel needs Python 3.11 or 3.12, for example: make PYTHON=python3.11 up"; exit 1; }
	$(PYTHON) -m venv .venv
