# The two commands are `make demo` and `make test`; both make the environment first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo backfill-demo cluster test-cluster test lint types layers tests chaos chaos-small bench bench-batch check docs clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(shell sed -n 's/^uv==//p' constraints.txt)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

demo: install
	$(BIN)/python -m demo

test: lint types layers tests

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

layers: install
	$(BIN)/lint-imports

tests: install
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# 20 customers x 30 days under every fault at once; about an hour on two cores.
chaos: install
	$(BIN)/python -m chaos

# The same, small; and without ledger and keys, which must show effects that happen twice.
chaos-small: install
	$(BIN)/python -m chaos --customers 2 --days 2
	$(BIN)/python -m chaos --customers 2 --days 2 --unsafe

# 365 days x 200 customers through a real scheduler, counted to the cent, and once more; about half an hour.
backfill-demo: install
	$(BIN)/python -m demo.backfill

# What docker-compose.yml describes, as processes: Airflow on Celery, PostgreSQL, Redis. Until Ctrl-C.
cluster: install
	$(BIN)/python -m cluster

# The shipped workflows, a batch and chaos on it, with workers, Redis and the scheduler killed; some minutes.
# More: make test-cluster TRIAL='--rows 100000 --customers 10 --days 10'
test-cluster: install
	$(BIN)/python -m cluster.trial $(TRIAL)

# This project beside arazzo-runner, redocly respect, HttpOperator and bare loops, in one run: a table and
# bench-results.json; about ten minutes. The others are installed into .bench, each by itself. With
# ONLY="parse execute" some parts alone, with QUICK=1 rough figures.
bench: install
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick)

# Rows per second of a batch beside a bare aiohttp loop, and memory up to 100,000 rows; some minutes.
bench-batch: install
	$(BIN)/python -m bench.batch

check: install
	$(BIN)/airflow-arazzo check specs/arazzo

# The documentation as a site, in site/; any warning is an error.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean:
	rm -rf site tutorial $(VENV) .bench .backfill .demo .chaos .cluster .cluster-test dist build
