# make demo       the whole chain on real data: train, export, verify, read digits
# make test       all tests
# make test-fast  most tests, in under a minute
# make fuzz       hostile files of every kind, for ten minutes
# make lint       formatting, lint, types, import layers
# make docs       the documentation's site, in site/: strict and offline
# make web        the demo that runs in a browser, in site/demo (Node.js 20 or newer, npm); after make docs
# make test-web   the demo in Node.js; it and the page of digitkit serve in Chromium where it is installed
# make bench      how fast it is on this machine, compared with the stored results of its class
# make test-arm64 the bundle, installed and used in emulated arm64 Debian (Linux, qemu-user-static)
# make test-cluster  a Ray cluster of three nodes on this machine, whose parts are killed (Linux)
# make test-systemd the bundle's service in Debian containers with systemd (root, systemd-container)
#
# Each creates .venv itself. PYTHON chooses the interpreter (3.11 or newer); PIP_ARGS is passed to
# pip, for example an index with CPU builds of torch where the default build is large.

PYTHON ?= python3
PIP_ARGS ?=
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: demo test test-fast test-oldest test-arm64 test-cluster test-systemd test-web fuzz lint format \
	samples finder soak bench bench-hot docs docs-outputs web clean help

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

$(BIN)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "digitkit requires Python 3.11 or newer, this is $$($(PYTHON) --version); choose another: make PYTHON=python3.12 …" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "this Python has no venv module; on Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) --editable '.[dev]'
	@$(BIN)/digitkit infer digitkit/images/sample_images/digit.png > /dev/null
	@touch $@

demo: $(BIN)/.ready
	$(BIN)/digitkit train --recipe quick --out $(DEMO)/run --overwrite
	$(BIN)/digitkit export $(DEMO)/run --out $(DEMO)/models --name quick
	$(BIN)/digitkit infer data/samples/*.??g --model $(DEMO)/models/quick-int8.onnx \
		--annotate $(DEMO)/annotated --explain $(DEMO)/explained
	@echo "annotated images: $(DEMO)/annotated; what the classifier saw: $(DEMO)/explained"

# Up to four processes; each file's tests stay in one, with their fixtures. Slow files are first
# (tests/conftest.py), so that no process waits for another one at the end.
PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
PYTEST_ARGS ?=

test: $(BIN)/.ready
	$(BIN)/python -m pytest $(PARALLEL) $(PYTEST_ARGS)

test-fast: $(BIN)/.ready
	$(BIN)/python -m pytest $(PARALLEL) --ignore tests/slow -m 'not slow' $(PYTEST_ARGS)

# Mutated images, lists, models, settings, reports, run folders: each must give a result or a
# DigitkitError, within limits of time and memory, and write nothing. What does not is stored in
# .fuzz, with the command that repeats it (exit code 1). Guided by coverage where atheris
# installs (Linux on x86-64). FUZZ_ARGS: names of targets, --seed N, --chance, --help.
FUZZ_SECONDS ?= 600
FUZZ_ARGS ?=
fuzz: $(BIN)/.ready
	@$(BIN)/python -c 'import atheris' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) --editable '.[fuzz]' || \
		echo "atheris cannot be installed: mutations by chance" >&2
	$(BIN)/python tests/fuzz/run.py --seconds $(FUZZ_SECONDS) $(FUZZ_ARGS)

lint: $(BIN)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(BIN)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The tests of the runtime and of serve with the oldest versions that pyproject.toml allows, without
# torch and onnx.
OLDEST := .venv-oldest
# The oldest NumPy that is allowed runs on Python 3.11 and 3.12.
OLDEST_PYTHON ?= $(shell for p in $(PYTHON) python3.11 python3.12; do $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null && echo $$p && break; done)
$(OLDEST)/bin/.ready: pyproject.toml tests/oldest.txt
	@test -n "$(OLDEST_PYTHON)" || { echo "test-oldest requires Python 3.11 or 3.12; choose one: make OLDEST_PYTHON=…" >&2; exit 2; }
	$(OLDEST_PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) --requirement tests/oldest.txt
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

test-oldest: $(OLDEST)/bin/.ready
	$(OLDEST)/bin/python -m pytest $(PARALLEL) $(PYTEST_ARGS)

# The bundle in emulated arm64 Debian, with the processors of Pi 3, 4 and 5: half an hour on two
# cores; ARM64_QUICK=1 takes one Debian and one processor. tests/arm64/run.py lists what it requires.
test-arm64: $(BIN)/.ready
	$(BIN)/python tests/arm64/run.py

# Equal results, lost processes and nodes, a driver that is killed: three minutes on two cores.
test-cluster: $(BIN)/.ready
	$(BIN)/python -m pytest tests/cluster/cluster_tests.py $(PYTEST_ARGS)

# The service under systemd 252 and 257, a minute; skipped where a container cannot be booted.
test-systemd: $(BIN)/.ready
	$(BIN)/python tests/systemd/run.py

# The site: a broken link or a public name without documentation is an error, and no page may load
# anything from elsewhere.
$(BIN)/.docs: $(BIN)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) --editable '.[docs]'
	@touch $@

docs: $(BIN)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	$(BIN)/python -m pytest tests/docs/test_site.py $(PYTEST_ARGS)

# The demo: static files. npm checks each package against the digests in package-lock.json; .npmrc
# keeps it from running their scripts.
WEB := web/demo
$(WEB)/node_modules/.package-lock.json: $(WEB)/package.json $(WEB)/package-lock.json
	@command -v npm >/dev/null || { echo "the demo requires Node.js 20 or newer with npm: https://nodejs.org" >&2; exit 2; }
	cd $(WEB) && npm ci --no-audit --no-fund
	@touch $@

# make docs removes the demo, so it comes first where both are asked for.
web: $(WEB)/node_modules/.package-lock.json | $(filter docs,$(MAKECMDGOALS))
	cd $(WEB) && npm run --silent build
	rm -rf site/demo
	mkdir -p site
	cp -R $(WEB)/build site/demo

$(BIN)/.browser: $(BIN)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) --editable '.[browser]'
	@touch $@

# The page of digitkit serve, too. CHROMIUM chooses the browser; where there is none, its tests say so.
test-web: web $(BIN)/.browser
	cd $(WEB) && npm test --silent
	$(BIN)/python -m pytest tests/browser tests/unit/images/test_golden_vectors.py $(PYTEST_ARGS)

# All commands that README and docs show, those that train and export too: five minutes.
docs-outputs: $(BIN)/.ready
	$(BIN)/python docs/_tools/outputs.py --slow

samples: $(BIN)/.ready
	$(BIN)/python data/samples/make_samples.py
	$(BIN)/python data/samples/form/make_form.py

# The suite: models, start-up, memory, throughput, photos, training time; six minutes on two idle
# cores. BENCH_ARGS=--store keeps the results in benchmarks/results, --quick only tries it out.
BENCH_ARGS ?=
bench: $(BIN)/.ready
	$(BIN)/python benchmarks/suite.py $(BENCH_ARGS)

# The hot paths; HOT_ARGS=--benchmark-autosave stores a run, --benchmark-compare compares with it.
HOT_ARGS ?=
bench-hot: $(BIN)/.ready
	$(BIN)/python -m pytest benchmarks/test_hot_paths.py $(HOT_ARGS)

# The detector, trained from scratch on synthetic pages: an hour on two cores.
finder: $(BIN)/.ready
	$(BIN)/digitkit train --recipe finder --out runs/finder

# An hour of video through the live path, faster than real time; fails if memory grows.
soak: $(BIN)/.ready
	$(BIN)/python benchmarks/soak.py --seconds 3600

clean:
	rm -rf $(VENV) $(OLDEST) $(DEMO) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.fuzz .import_linter_cache $(WEB)/build $(WEB)/node_modules
