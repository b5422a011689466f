# Two commands for a newcomer: `make demo` and `make test`. They need Python 3.11 or newer, git and make, nothing else.
# Everything is installed into .venv from locks with hashes; nothing outside this folder is touched.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := smart_app launch fhir_profiles
CODE := $(PACKAGES) tests examples bench
# The gate against engines that share no code with it: pyrofile-validator, fhirpathpy, npm fhirpath.
SECOND_OPINIONS := $(wildcard tests/fhir_profiles/validation/test_second_opinions*.py \
  tests/fhir_profiles/validation/test_invariants_agree.py)
# A file's tests stay together, as its fixtures do; four browsers at once are enough for any machine.
ON_EVERY_CORE := -n auto --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help install install-dev demo demo-reset test check fuzz guide bench bench-inbound mutate lock clean

help: ## what each command does
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

# uv installs in seconds what pip installs in a minute; where uv does not run or reach the index, pip does the same work.
# Both refuse a package whose hash is not in the lock. --system-certs: behind a proxy the system's store has its certificate.
define install_lock
	@echo "Installing $(1)"
	@$(BIN)/uv pip sync --quiet --system-certs --python $(BIN)/python --require-hashes $(1) \
	  || $(BIN)/python -m pip install --quiet --require-hashes -r $(1)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable . \
	  || $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
endef

# The stamp is the last thing written, so a broken install is never taken for a finished one.
$(VENV)/.made: requirements-bootstrap.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed. Name one: make PYTHON=python3.12 ..."; exit 2; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "python3 cannot make a virtual environment. On Debian: apt-get install python3-venv"; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $< \
	  || echo "uv is not to be had here; pip will do its work, more slowly."
	@touch $@

$(VENV)/.run: $(VENV)/.made requirements.lock pyproject.toml
	$(call install_lock,requirements.lock)
	@touch $@

# The development lock holds all of the runtime lock, so it counts for both.
$(VENV)/.dev: $(VENV)/.made requirements.lock requirements-dev.lock pyproject.toml
	$(call install_lock,requirements-dev.lock)
	@touch $(VENV)/.run $@

# Mutation testing has a lock of its own, which holds all of the development lock.
$(VENV)/.mutate: $(VENV)/.dev requirements-mutate.lock
	$(call install_lock,requirements-mutate.lock)
	@touch $@

install: $(VENV)/.run ## what the app needs to run
install-dev: $(VENV)/.dev ## and what its tests need

demo: install ## the sandbox EHR, the DSV program and the app; DATA=folder adds people from Synthea bundles
	@$(BIN)/warm-referral demo $(if $(DATA),--data "$(DATA)")

demo-reset: ## forget what the demo stored (var/demo)
	@rm -rf var/demo && echo "The demo starts empty next time."

# The guide's tools need Node. Without it a build says so; its tests skip at a desk and fail in CI.
node_modules/.package-lock.json: package.json package-lock.json
	@command -v npm >/dev/null || { echo "The guide needs Node. On Debian: apt-get install nodejs npm"; exit 2; }
	@echo "Installing package-lock.json"
	@npm ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@

guide: install-dev node_modules/.package-lock.json ## compile the implementation guide and pack it into build/
	@$(BIN)/python fhir_profiles/ig/examples.py
	@$(BIN)/python fhir_profiles/ig/build.py
	@$(BIN)/python -m fhir_profiles.validation
	@$(BIN)/python fhir_profiles/ig/build.py --pack build/warm-referral.fhir.tgz

test: install-dev ## all tests; ARGS="-k release -x" narrows them, ARGS="-n 0" takes one after the other
	@$(BIN)/pytest $(ON_EVERY_CORE) $(ARGS)

check: install-dev $(if $(shell command -v npm),node_modules/.package-lock.json) ## style, types, import directions, docs, rules, locks, the guide
	@$(BIN)/ruff check $(wildcard $(CODE))
	@$(BIN)/ruff format --check $(wildcard $(CODE))
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest -q $(ON_EVERY_CORE) tests/house tests/fhir_profiles/ig $(SECOND_OPINIONS)

fuzz: install-dev ## 200,000 new hostile bodies for the gate; INPUTS=n for another number
	@$(BIN)/pytest -q tests/fhir_profiles/validation/test_fuzz.py -x --inputs $(or $(INPUTS),200000)

mutate: $(VENV)/.mutate ## change the decisions of the door one by one: a test must notice each; FILES=access for one file
	@$(BIN)/python tests/mutation/run.py $(FILES)

bench-inbound: install-dev $(if $(shell command -v npm),node_modules/.package-lock.json) ## referrals taken in a second, beside the least it can cost and another server
	@$(BIN)/python bench/inbound.py

bench: install-dev $(if $(shell command -v npm),node_modules/.package-lock.json) ## referrals a second in and out, cost of a launch and of the door, the audit verified, memory, resources validated
	@$(BIN)/python bench/inbound.py
	@$(BIN)/python bench/drain.py
	@$(BIN)/python bench/launch_cost.py
	@$(BIN)/python bench/door.py
	@$(BIN)/python bench/audit.py
	@$(BIN)/python bench/footprint.py
	@$(BIN)/python bench/validation.py

lock: install-dev ## newest versions that pyproject.toml allows, with hashes, without addresses
	@$(BIN)/uv --version >/dev/null || { echo "make lock needs uv, which could not be installed here."; exit 2; }
	$(call compile,--group build,requirements.lock)
	$(call compile,--group build --group dev --extra postgres,requirements-dev.lock)
	$(call compile,--group build --group dev --group mutate --extra postgres --constraint requirements-dev.lock,requirements-mutate.lock)
	@! command -v npm >/dev/null || npm install --silent --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved

# --universal: one lock for every system. The runtime lock constrains the other, so that both hold the same versions.
define compile
	@$(BIN)/uv pip compile --quiet --system-certs --universal --upgrade --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links $(if $(findstring dev,$(2)),--constraint requirements.lock) \
	  pyproject.toml $(1) --output-file $(2)
endef

clean: ## remove .venv, caches and builds; var/ stays, it may hold records
	@rm -rf $(VENV) node_modules build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +
