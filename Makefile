# Two commands matter: `make demo` and `make test`. They need Python >= 3.10 with venv and pip, and make; nothing else.

PYTHON ?= python3
SCENE := synthetic:?seconds=40&seed=1
INSTALL := -m pip --quiet --disable-pip-version-check install --no-compile --constraint constraints.txt
PYTEST := -m pytest --numprocesses auto -m

# JetPack 6 ships Python 3.10: `python3.10` where it runs, else one installed beside the Python in use, as pyenv does.
PYTHON_310 = $(shell for p in python3.10 "$$($(PYTHON) -c 'import sys; print(sys.base_prefix)')"/../3.10*/bin/python3.10; \
	do "$$p" -c 'import ensurepip' 2>/dev/null && echo "$$p" && break; done)

# Debian keeps brokers where only root's PATH looks.
export PATH := $(PATH):/usr/sbin

# One thread a process: the tests run as many processes as there are cores.
export OMP_NUM_THREADS := 1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint types unit unit-3.10 audit mosquitto chromium format constraints sbom clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 20

demo: .venv/.edge ## a synthetic patient through the default bundle, live in the console (no torch)
	.venv/bin/mmrphys run --rgb "$(SCENE)" --speed max

test: lint types unit unit-3.10 audit ## all that decides: lint, types, tests, the edge tests under Python 3.10, audit

lint: .venv/.dev
	.venv/bin/ruff check
	.venv/bin/ruff format --check

types: .venv/.dev
	.venv/bin/mypy

unit: .venv/.dev mosquitto chromium
	.venv/bin/python $(PYTEST) "not slow and not gpu"

unit-3.10:
	@if [ -n "$(PYTHON_310)" ]; then $(MAKE) --no-print-directory .venv-3.10/.edge && \
		.venv-3.10/bin/python $(PYTEST) "not slow and not gpu and not scenes and not browser" tests/edge tests/test_layers.py; \
	else echo "== no Python 3.10 found: the edge tests ran under $$(.venv/bin/python -V) only"; fi

format: .venv/.dev ## let ruff mend what it can
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "make: $(PYTHON) is not Python 3.10 or newer; name one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "make: $(PYTHON) cannot make environments with pip; install venv: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv .venv && touch $@

.venv/.edge: .venv/.made pyproject.toml constraints.txt
	@echo "== installing the device part into .venv"
	@.venv/bin/python $(INSTALL) --editable . && touch $@

.venv/.dev: .venv/.made pyproject.toml constraints.txt
	@echo "== installing everything, torch included, into .venv"
	@.venv/bin/python $(INSTALL) --editable '.[dev]' && touch .venv/.edge $@

.venv-3.10/.edge: pyproject.toml constraints.txt
	@echo "== installing the device part under Python 3.10 into .venv-3.10"
	@"$(PYTHON_310)" -m venv .venv-3.10 && .venv-3.10/bin/python $(INSTALL) --editable '.[test]' && touch $@

audit: .venv/.dev ## known weaknesses of the packages in constraints.txt, where the data can be reached
	.venv/bin/python tests/audit.py $(AUDIT)

mosquitto:
	@command -v mosquitto >/dev/null && command -v mosquitto_sub >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "== installing mosquitto" && apt-get -qq update && \
		DEBIAN_FRONTEND=noninteractive apt-get -qqy install --no-install-recommends mosquitto mosquitto-clients >/dev/null; } || \
		echo "== no mosquitto here, and it cannot be installed: the tests against a real broker skip"

chromium:
	@command -v chromium >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "== installing chromium" && apt-get -qq update && \
		DEBIAN_FRONTEND=noninteractive apt-get -qqy install --no-install-recommends chromium fonts-dejavu-core >/dev/null; } || \
		echo "== no chromium here, and it cannot be installed: the tests of the bedside page in a browser skip"

constraints: .venv/.made ## resolve constraints.txt anew for Python 3.10 to 3.13
	.venv/bin/python -m pip --quiet install uv
	sed '/^$$/q' constraints.txt >constraints.new
	.venv/bin/uv pip compile --quiet --universal --python-version 3.10 --extra dev --no-header --no-annotate pyproject.toml \
		| grep -v sys_platform >>constraints.new
	mv constraints.new constraints.txt

sbom: .venv/.edge ## the device part's packages and licences anew, from constraints.txt, for Python 3.10 and the one in use
	.venv/bin/python -m export.sbom_device
	@if [ -n "$(PYTHON_310)" ]; then $(MAKE) --no-print-directory .venv-3.10/.edge && .venv-3.10/bin/python -m export.sbom_device; fi

clean: ## remove the environments and everything built or cached
	rm -rf .venv .venv-3.10 .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find edge export training calibration tests -name __pycache__ -prune -exec rm -rf {} +
