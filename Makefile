# make demo   the whole chain on real data: train, export, verify, read digits
# make test   the tests
# make lint   formatting, lint, types
# make bench  how fast it is on this machine, compared with what is stored of its like
# make test-arm64   the bundle, installed and used in emulated arm64 Debian (Linux, qemu-user-static)
#
# Each makes .venv by itself. PYTHON chooses the interpreter (3.11 or newer), PIP_ARGS is handed to
# pip: an index with CPU builds of torch, say, where the default one is large.

PYTHON ?= python3
PIP_ARGS ?=
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: demo test test-oldest test-arm64 lint format samples finder soak bench bench-hot clean help

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

$(BIN)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "digitkit needs Python 3.11 or newer, this is $$($(PYTHON) --version); name another: make PYTHON=python3.12 …" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "this Python has no venv module; on Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) --editable '.[dev]'
	@$(BIN)/digitkit infer data/samples/0-as-in-mnist.png > /dev/null
	@touch $@

demo: $(BIN)/.ready
	$(BIN)/digitkit train --recipe quick --out $(DEMO)/run --overwrite
	$(BIN)/digitkit export $(DEMO)/run --out $(DEMO)/models --name quick
	$(BIN)/digitkit infer data/samples --model $(DEMO)/models/quick-int8.onnx \
		--annotate $(DEMO)/annotated --explain $(DEMO)/explained
	@echo "what was read, drawn: $(DEMO)/annotated; what the net saw: $(DEMO)/explained"

test: $(BIN)/.ready
	$(BIN)/python -m pytest

lint: $(BIN)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(BIN)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The runtime's tests with the oldest versions that pyproject.toml admits, without torch and onnx.
OLDEST := .venv-oldest
# The oldest NumPy that is admitted runs on Python 3.11 and 3.12.
OLDEST_PYTHON ?= $(shell for p in $(PYTHON) python3.11 python3.12; do $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null && echo $$p && break; done)
$(OLDEST)/bin/.ready: pyproject.toml tests/oldest.txt
	@test -n "$(OLDEST_PYTHON)" || { echo "test-oldest needs Python 3.11 or 3.12; name one: make OLDEST_PYTHON=…" >&2; exit 2; }
	$(OLDEST_PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) --requirement tests/oldest.txt
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

test-oldest: $(OLDEST)/bin/.ready
	$(OLDEST)/bin/python -m pytest

# The bundle in emulated arm64 Debian, under the processors of Pi 3, 4 and 5: half an hour on two
# cores; ARM64_QUICK=1 takes one Debian and one processor. tests/arm64/run.py says what it needs.
test-arm64: $(BIN)/.ready
	$(BIN)/python tests/arm64/run.py

samples: $(BIN)/.ready
	$(BIN)/python data/samples/make_samples.py

# The suite: models, start, memory, throughput, pictures, photos, training time; six minutes on two
# idle cores. BENCH_ARGS=--store keeps it in benchmarks/results, --quick only tries it out.
BENCH_ARGS ?=
bench: $(BIN)/.ready
	$(BIN)/python benchmarks/suite.py $(BENCH_ARGS)

# The hot paths; HOT_ARGS=--benchmark-autosave keeps a run, --benchmark-compare lays one beside it.
HOT_ARGS ?=
bench-hot: $(BIN)/.ready
	$(BIN)/python -m pytest benchmarks/test_hot_paths.py $(HOT_ARGS)

# The net that finds digits, trained anew on synthetic pages: an hour on two cores.
finder: $(BIN)/.ready
	$(BIN)/digitkit train --recipe finder --out runs/finder

# An hour of video through the live path, faster than real time; fails if memory grows.
soak: $(BIN)/.ready
	$(BIN)/python benchmarks/soak.py --seconds 3600

clean:
	rm -rf $(VENV) $(OLDEST) $(DEMO) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
