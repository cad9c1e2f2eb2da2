# Everything starts here, from Python 3.11 or later and make alone.
#
# .venv is made from the lock files in requirements/ and made again when they change:
#   .venv/.locked      what kpiengine needs to run, every extra but `fast`
#   .venv/.locked-dev  and what its tests need: some of it (data.txt) as data alone, without its own dependencies,
#                      and Spark (spark.txt), which has no wheel
#   .venv/.installed   and kpiengine itself, editable

SHELL := /bin/sh
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
DEMO := build/demo
# The Python that .venv is made with: make PYTHON=/usr/bin/python3.12 test. Empty: the newest one that is found.
PYTHON :=
PYTEST_FLAGS :=
# make bench BENCH_FLAGS='--scale 0.1' takes a tenth of the data; the bounds are for the whole.
BENCH_FLAGS :=
# make lock LOCK_FLAGS=--upgrade takes the newest versions; without it only what pyproject.toml asks for changes.
LOCK_FLAGS :=

CANDIDATES := python3.14 python3.13 python3.12 python3.11 python3 python
# `ensurepip` is what Debian's python lacks until python3-venv is installed.
USABLE := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
LOCKED := install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --requirement

define find_python
for python in $(or $(PYTHON),$(CANDIDATES)); do \
    if "$$python" -c '$(USABLE)' 2>/dev/null; then found="$$python"; break; fi; \
done; \
if [ -z "$$found" ]; then \
    echo 'kpiengine needs Python 3.11 or later with its venv module (Debian: apt install python3-venv); if it is not on the PATH: make PYTHON=/path/to/python' >&2; \
    exit 1; \
fi
endef

# What another project's shell has set must not reach into this one's tests.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.PHONY: help demo test lint types imports install golden bench lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.installed ## make a sales data set, and show what can be done with it
	@rm -rf $(DEMO)
	@mkdir -p $(dir $(DEMO))
	@$(BIN)/kpi demo $(DEMO)

test: lint types imports ## all checks, the quick ones first
	$(BIN)/pytest -n 2 --dist loadgroup $(PYTEST_FLAGS)

lint: install ## style and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: install ## every definition is typed
	$(BIN)/mypy

imports: install ## no module imports from above its own place
	$(BIN)/lint-imports --no-logo

install: $(VENV)/.locked-dev $(VENV)/.installed ## .venv, ready to work in

golden: install ## write the golden files again; read the difference before you commit it
	$(BIN)/pytest --update-golden $(PYTEST_FLAGS)

bench: install ## measure against an expert's SQL; fails where a bound is exceeded
	@$(BIN)/python -m bench all $(BENCH_FLAGS)

lock: ## pin the versions in requirements/ again, after a change to pyproject.toml
	@$(find_python); "$$found" -m venv --clear build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(call pin,requirements/dev.txt,--group dev $(EXTRAS) pyproject.toml)
	$(call pin,requirements/runtime.txt,--group build --constraint requirements/dev.txt --extra excel --extra clv pyproject.toml)
	$(call pin,requirements/data.txt,--group data --no-deps)
	$(call pin,requirements/spark.txt,--group spark --no-deps)
	$(call pin,requirements/fast.txt,--group fast --constraint requirements/dev.txt)

EXTRAS := --extra excel --extra clv --extra postgres --extra clickhouse --extra datafusion

# One file for every platform and Python version, with no address of an index in it.
pin = build/lock/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	$(2) $(LOCK_FLAGS) --output-file $(1)

clean: ## remove what was made here, .venv too
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.locked: requirements/runtime.txt
	@$(find_python); \
	echo "Making $(VENV) with $$found ($$("$$found" -c 'import platform; print(platform.python_version())')) …"; \
	"$$found" -m venv --clear $(VENV)
	@echo 'Installing the locked versions …'
	@$(BIN)/python -m pip $(LOCKED) $<
	@touch $@

$(VENV)/.locked-dev: requirements/dev.txt requirements/data.txt requirements/spark.txt $(VENV)/.locked
	@echo 'Installing what the tests need …'
	@$(BIN)/python -m pip $(LOCKED) $<
	@$(BIN)/python -m pip $(LOCKED) requirements/data.txt --no-deps
	@$(BIN)/python -m pip $(LOCKED) requirements/spark.txt --no-deps --no-build-isolation --no-binary pyspark
	@touch $@

# An entry point or a version that was changed is seen only after installing again.
$(VENV)/.installed: $(VENV)/.locked pyproject.toml kpiengine/__init__.py
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
