# Bare `make` lists the targets. EPISODES, ARGS, PYTHON and WORKERS (of the tests) are the variables people set.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
BIN := .venv/bin
EPISODES ?=
ARGS ?=
WORKERS ?= 2

export MLFLOW_DISABLE_TELEMETRY := true
export RAY_USAGE_STATS_ENABLED := 0

.NOTPARALLEL:
.PHONY: help setup sprint submit evaluate benchmark doctor test lint types imports test-fast test-integration coverage gates lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Build .venv from the lock (again only when the lock changed; PYTHON= names the interpreter)
	@PYTHON="$(PYTHON)" requirements/setup.sh

sprint: setup ## Train, evaluate, register, report (EPISODES=100000 for the full sprint; ARGS= for gaelp sprint)
	@$(BIN)/gaelp sprint $(if $(EPISODES),--episodes $(EPISODES)) $(ARGS)

submit: setup ## Send the sprint to the cluster of `gaelp cluster up` as a Ray job (EPISODES=, ARGS="--address URL")
	@$(BIN)/gaelp submit $(if $(EPISODES),--episodes $(EPISODES)) $(ARGS)

evaluate: setup ## Judge the comparators on held-out worlds (ARGS="--policy REF --family wide")
	@$(BIN)/gaelp evaluate $(ARGS)

benchmark: setup ## Measure speed against real peers on this machine (ARGS= names one)
	@$(BIN)/gaelp benchmark $(ARGS)

doctor: setup ## Check this machine and say how to fix what is found
	@$(BIN)/gaelp doctor $(ARGS)

test: setup ## Everything that must hold: lint, types, imports, both test tiers, coverage, gates
	@$(MAKE) --no-print-directory lint types imports test-fast test-integration coverage gates && \
	  echo "make test: all green in $$SECONDS s"

lint: ## Style, formatting and the rules about text
	@echo "== lint"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python gates/check_text.py .

types: ## mypy, strict
	@echo "== types"
	@$(BIN)/mypy

imports: ## The one-way layers
	@echo "== imports"
	@$(BIN)/lint-imports --no-logo

test-fast: ## Unit tests and properties
	@echo "== tests, fast tier"
	@$(BIN)/python -m pytest -m "not integration" -q -n $(WORKERS) --cov --cov-report= --cov-fail-under=0 $(ARGS)

test-integration: ## Tests that start Ray, MLflow or a process
	@echo "== tests, integration tier"
	@$(BIN)/python -m pytest -m integration -q -n $(WORKERS) --dist loadfile --durations=10 --cov --cov-append --cov-report= --cov-fail-under=0 $(ARGS)

coverage: ## The floor, over both tiers as last run
	@echo "== coverage of both tiers"
	@$(BIN)/coverage report

gates: ## Prove that every gate turns red on a known-bad fixture
	@echo "== gates"
	@$(BIN)/python gates/prove.py

lock: setup ## Resolve requirements/lock.txt again (UPGRADE=1 moves every pin)
	@UPGRADE="$(UPGRADE)" requirements/lock.sh

clean: ## Delete caches and coverage data; keeps .venv and runs
	@rm -rf .numba_cache .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache *.egg-info
	@find . -name __pycache__ -not -path './.venv/*' -not -path './runs/*' -prune -exec rm -rf {} +
