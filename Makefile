# Two commands are enough: `make run` (pixels in, a trained car out) and `make test`.
# Both set up everything they need in $(VENV) first, and again only when pyproject.toml changes.

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch>=2.6,<2.14
LOGDIR ?= results/quick
DATA ?= data/quick
# Test processes; three suit two cores, as much of the time they wait for processes and browsers of their own.
WORKERS ?= 3
# More arguments for `make run` and `make test`, e.g. make test ARGS="-m 'not slow'"
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# No window is opened while testing, and every process keeps to one core: the tests' processes share them.
TEST_ENV := SDL_VIDEODRIVER=dummy SDL_AUDIODRIVER=dummy OMP_NUM_THREADS=1 MPLBACKEND=Agg

.DEFAULT_GOAL := help
.PHONY: help run test test-long check format lint types bench install install-dev browser clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

run: install  ## collect, train V, M and C in small, evaluate, report: CarRacing in one command
	$(BIN)/world-models run --preset quick --logdir $(LOGDIR) --data_dir $(DATA) $(ARGS)

test: install-dev browser  ## the tests
	$(TEST_ENV) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

test-long: install-dev browser  ## the tests that take minutes: the pages of docs, dreams in processes of every kind, hosts that never answer
	$(TEST_ENV) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m long $(ARGS)

check: format lint types test  ## the one gate: format, lint, types, tests

format: install-dev
	$(BIN)/ruff format --check .

lint: install-dev
	$(BIN)/ruff check .

types: install-dev
	$(BIN)/mypy

bench: install-dev browser  ## the benchmarks (quarter of an hour, nothing else running); writes benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks.run_all $(ARGS)

install: $(VENV)/.stamp-run  ## the virtual environment with what `make run` needs

install-dev: $(VENV)/.stamp-dev  ## the same with the developers' tools

# torch goes first, alone: nothing else may then choose another build of it.
$(VENV)/.stamp-run: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "world-models needs Python 3.11 or newer; '$(PYTHON)' is" \
	    "$$($(PYTHON) --version 2>/dev/null || echo missing). Name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; \
	  exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
	  rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make a virtual environment (on Debian and Ubuntu: apt install python3-venv)" >&2; \
	  exit 1; }
	$(PIP) install --quiet "$(TORCH)"
	$(PIP) install --quiet -e .
	@touch $@

$(VENV)/.stamp-dev: $(VENV)/.stamp-run
	$(PIP) install --quiet -e '.[dev]'
	@for extra in envpool vizdoom; do $(PIP) install --quiet -e ".[$$extra]" || \
	  echo "$$extra does not install here; its tests will be skipped" >&2; done
	@touch $@

# One that is there, else the system's package, else Playwright's own; without any its tests say that they skip.
browser: install-dev  ## a Chromium for the tests of the exported page
	@command -v chromium chromium-browser google-chrome >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y chromium >/dev/null; } || \
	  $(BIN)/python -m playwright install chromium || \
	  echo "no Chromium here: the tests of the exported page will be skipped" >&2

clean:  ## removes the virtual environment and caches; leaves data/ and results/
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
