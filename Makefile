# `make` lists the targets. Each creates the virtual environment that it needs, once.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# The versions that were tested together, also for building packages from source: older releases of
# pip read the first variable for that, newer ones the second.
LOCKED := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt
INSTALL := $(LOCKED) $(BIN)/python -m pip install --quiet --disable-pip-version-check
# A process for each core, up to four; a file's tests share a process. Torch gets one thread in each.
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --no-annotate

.DEFAULT_GOAL := help
.PHONY: help demo test test-newest style format lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

demo: $(VENV)/.demo ## run the whole path on nine recordings, into demo_output/
	$(BIN)/preprocess demo demo_output

test: $(VENV)/.dev ## run the tests with their coverage; the dataset's also under datasets 5
	$(TESTS) --cov --cov-report=term
	$(BIN)/python -m nox -s datasets_5

test-newest: $(VENV)/.dev ## run the tests under the newest releases of all packages
	$(BIN)/python -m nox -s newest

style: $(VENV)/.dev ## check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.dev ## format the code and apply automatic fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(VENV)/.dev ## update constraints.txt to the newest versions that fit together
	UV_CUSTOM_COMPILE_COMMAND='make lock' $(COMPILE) --upgrade --output-file constraints.txt \
	  --extra script --extra parameters --extra formats --extra plot --extra dev pyproject.toml constraints.in

clean: ## remove the demo's output and the virtual environment
	rm -rf demo_output .nox $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable '.[script]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable '.[script,dev,parameters]'
	touch $@ $(VENV)/.demo
