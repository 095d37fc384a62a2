# One vocabulary of tasks, the same by hand, in hooks and in CI. `make` alone lists them.
# Options go through ARGS: make demo ARGS="--api-port 8090 --nights 5"
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# No library of ours phones home.
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export GX_ANALYTICS_ENABLED := false
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: help setup demo up down status test test-fast services lint types arch format bench clean distclean

help: ## list the tasks
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(READY) ## make the virtual environment with every package (about 2 to 5 minutes, once)

$(READY): pyproject.toml constraints.txt
	@[ -n "$(PYTHON)" ] || { echo "Holdfast needs Python 3.11, 3.12 or 3.13, and none is on PATH: install one, or name it with make PYTHON=/path/to/python." >&2; exit 1; }
	@echo "Installing into $(VENV) with $(PYTHON): about 2 to 5 minutes, once."
	@$(PYTHON) -m venv $(VENV) || { echo "Can't make a virtual environment: install the venv module (Debian: apt-get install python3-venv)." >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --progress-bar off -c constraints.txt -e '.[dev,production]'
	@touch $@

demo: $(READY) ## from nothing to real nights on real flights, under a real Airflow
	@$(BIN)/holdfast demo $(ARGS)

up: $(READY) ## start the embedded stack: Airflow and MLflow, on loopback
	@$(BIN)/holdfast up $(ARGS)

down: ## stop it
	@if [ -x $(BIN)/holdfast ]; then $(BIN)/holdfast down; fi

status: $(READY) ## what runs, and where to look
	@$(BIN)/holdfast status

test: $(READY) services lint types arch ## every check: style, types, layers, and all tests with branch coverage
	@rm -f .coverage .coverage.*
	@OMP_NUM_THREADS=1 $(BIN)/python -m coverage run -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report

test-fast: $(READY) ## the unit tests alone
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/unit -q

services: ## what the tests drive: PostgreSQL, an S3 server, Chromium (installed where they are missing)
	@tests/install_services.sh

lint: $(READY) ## ruff, and the formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(READY) ## mend what ruff can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(READY) ## mypy, strict
	@$(BIN)/mypy

arch: $(READY) ## the layers of the house
	@$(BIN)/lint-imports

bench: $(READY) ## ratios against a peer, measured in one run
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks $(ARGS)

clean: down ## stop the stack and remove all state (var/)
	@rm -rf var workspace .coverage .coverage.*

distclean: clean ## the virtual environment too
	@rm -rf $(VENV) *.egg-info
