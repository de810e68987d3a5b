# Everything a player or a developer runs. `make` alone lists it.

FITS = -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null
PYTHON ?= $(shell for p in python3.12 python3.11 python3; do $$p $(FITS) && echo $$p && break; done)
PIP_INSTALL = .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
TAKE = takes/calling_card.flac
MEMORY = calling_card.memory

.DEFAULT_GOAL := help
.PHONY: help perform test lint bench

help: ## list these targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

perform: .venv/run.stamp ## play: learn the bundled take if there is no memory yet, then perform
	@test -f $(MEMORY) || .venv/bin/python -m oracle.train $(TAKE) --output $(MEMORY)
	.venv/bin/python -m realtime.perform --memory $(MEMORY)

test: .venv/dev.stamp ## run the tests, installing what they need where that is allowed
	@sh tests/install_system_packages.sh
	.venv/bin/python -m pytest

lint: .venv/dev.stamp ## check style, types and formatting
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench: .venv/dev.stamp ## run every benchmark's quick form
	@for benchmark in $(notdir $(basename $(filter-out benchmarks/_% benchmarks/show.py,$(wildcard benchmarks/*.py)))); do \
		echo "== $$benchmark"; .venv/bin/python -m benchmarks.$$benchmark --quick || exit 1; done

.venv/bin/python:
	@test -n "$(PYTHON)" && $(PYTHON) $(FITS) || { \
		echo "Python 3.11 or 3.12 is needed; install it or run: make PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/run.stamp: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing the program into .venv (PyTorch is most of it: minutes on a slow line)"
	@$(PIP_INSTALL) -e .
	@touch $@

.venv/dev.stamp: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing the program and its development tools into .venv"
	@$(PIP_INSTALL) -e '.[dev]'
	@touch $@ .venv/run.stamp
